import { describe, expect, it } from 'vitest';
import { prepareSchema } from './json-schema.ts';

describe('a schema', () => {
  it('closes objects that name properties and removes annotations', () => {
    expect(
      prepareSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: 'Person',
        type: 'object',
        required: ['name'],
        properties: {
          name: { type: 'string', description: 'Full name' },
          more: { type: 'object' },
          list: { type: 'array' },
          any: {},
        },
      }),
    ).toEqual({
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: {
        name: { type: 'string' },
        more: { type: 'object', properties: {}, required: [], additionalProperties: true },
        list: { type: 'array', items: true },
        any: true,
      },
    });
    expect(prepareSchema({})).toBe(true);
    expect(prepareSchema({ enum: ['a', 1, 'b'], type: 'string' })).toEqual({ enum: ['a', 'b'] });
    expect(prepareSchema({ type: 'array', prefixItems: [{ const: 1 }] })).toEqual({
      type: 'array',
      prefixItems: [{ enum: [1] }],
      items: false,
    });
  });

  it('lists the integers within bounds and splits lists of types', () => {
    expect(prepareSchema({ type: 'integer', exclusiveMinimum: -2, maximum: 1 })).toEqual({
      type: 'integer',
      enum: [-1, 0, 1],
    });
    expect(
      prepareSchema({ type: 'integer', minimum: 4, exclusiveMinimum: 4, maximum: 9, exclusiveMaximum: 6 }),
    ).toEqual({ type: 'integer', enum: [5] });
    expect(prepareSchema({ type: 'integer', minimum: 0 })).toEqual({ type: 'integer', minimum: 0 });
    expect(prepareSchema({ type: 'integer' })).toEqual({ type: 'integer' });
    expect(prepareSchema({ type: ['string', 'null'], maxLength: 3 })).toEqual({
      anyOf: [{ type: 'string', maxLength: 3 }, { type: 'null' }],
    });
  });

  it('keeps definitions and references to them', () => {
    const tree = {
      $defs: {
        node: { type: 'object', properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } } },
      },
      $ref: '#/$defs/node',
    };
    expect(prepareSchema(tree)).toMatchObject({
      $ref: '#/$defs/node',
      $defs: { node: { additionalProperties: false } },
    });
  });

  it('accepts patterns that match only text that is valid in JSON', () => {
    for (const pattern of [
      '^[a-z]+$',
      'a|b',
      '\\d{3}-\\d{4}',
      '(ab)*c?',
      '[A-Za-z0-9_.-]+@x',
      '^\\+?[0-9 ]{5,12}$',
      'ü{2}',
    ]) {
      expect(prepareSchema({ type: 'string', pattern })).toEqual({ type: 'string', pattern });
    }
  });

  const cyclic: Record<string, unknown> = { type: 'array' };
  cyclic.items = cyclic;

  it.each<[unknown, string]>([
    [false, 'is false'],
    ['{"type":"string"}', 'instead of a schema'],
    [[], 'instead of a schema'],
    [undefined, 'instead of a schema'],
    [{ type: 'text' }, 'has the type "text" (at #)'],
    [{ type: [] }, 'has the type []'],
    [{ minimum: 3 }, 'has minimum, but no type'],
    [{ oneOf: [{ type: 'string' }] }, 'has oneOf, but no type'],
    [{ type: 'string', not: { const: '' } }, 'has not, which is not supported for the type string'],
    [{ type: 'number', minimum: 3 }, 'has minimum, which is not supported for the type number'],
    [{ type: 'integer', multipleOf: 3 }, 'has multipleOf'],
    [{ type: 'integer', minimum: 1.5 }, 'minimum that is not a whole number'],
    [{ type: 'integer', minimum: 1, maximum: 0 }, 'bounds that no number satisfies'],
    [{ type: 'integer', minimum: 2 }, 'bounds that are too far apart'],
    [{ type: 'integer', minimum: 0, maximum: 1000 }, 'bounds that are too far apart'],
    [{ type: 'array', uniqueItems: true }, 'has uniqueItems'],
    [{ type: 'array', minItems: -1 }, 'minItems that is not a count'],
    [{ type: 'object', patternProperties: {} }, 'has patternProperties'],
    [{ type: 'object', properties: { a: true }, required: ['b'] }, 'requires "b"'],
    [{ type: 'object', properties: { a: true }, additionalProperties: true }, 'allows additional ones'],
    [{ type: 'object', properties: { 'a"b': true } }, 'a character that JSON escapes'],
    [
      { type: 'object', properties: { a: { type: 'array', items: { type: 'string', if: true } } } },
      'has if, which is not supported for the type string (at #/properties/a/items)',
    ],
    [{ type: 'string', pattern: '^.*$' }, 'has the pattern'],
    [{ type: 'string', pattern: '[^a]' }, 'has the pattern'],
    [{ type: 'string', pattern: '[ -~]' }, 'has the pattern'],
    [{ type: 'string', pattern: '[A-z]' }, 'has the pattern'],
    [{ type: 'string', pattern: '\\S' }, 'has the pattern'],
    [{ type: 'string', pattern: '"' }, 'has the pattern'],
    [{ type: 'string', pattern: '\\\\' }, 'has the pattern'],
    [{ type: 'string', pattern: 'a(?=b)' }, 'has the pattern'],
    [{ type: 'string', pattern: 'a', maxLength: 3 }, 'has pattern and a length'],
    [{ type: 'string', format: 'binary' }, 'has the format "binary"'],
    [{ $ref: 'https://example.org/a.json' }, 'refers to'],
    [{ $ref: '#/properties/a', $defs: {} }, 'refers to'],
    [{ $ref: '#/$defs/b', $defs: { a: {} } }, 'refers to'],
    [{ $ref: '#/$defs/constructor', $defs: { a: {} } }, 'refers to'],
    [{ $ref: '#', minimum: 3 }, 'has minimum next to $ref'],
    [{ enum: [] }, 'an enum without values'],
    [{ enum: [1], type: 'string' }, 'no value of its type'],
    [{ anyOf: [] }, 'without alternatives'],
    [{ allOf: [{ type: 'string' }, { maxLength: 3 }] }, 'has allOf'],
    [cyclic, 'levels deep'],
  ])('%o is refused', (schema, message) => {
    expect(() => prepareSchema(schema)).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(message) }),
    );
  });
});
