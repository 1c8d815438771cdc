import { expect, it, vi } from 'vitest';
import { guardLoads, type LoadGuardOptions } from './load-guard.ts';
import type { Question } from './question.ts';

const MODELS = [
  { id: 'small', name: 'Small', storedBytes: 24e6 },
  { id: 'large', name: 'Mixtral', storedBytes: 26.4e9 },
];

/** A frame beside a tab that has a model, with a user who answers when the test says so. */
function setUp(options: Partial<LoadGuardOptions> = {}) {
  const questions: Question[] = [];
  let answer = (_allowed: boolean): void => {};
  let release = (): void => {};
  const mayLoad = guardLoads({
    list: async () => MODELS,
    locks: {
      claim: async () => false,
      claimAfterOthers: () => new Promise((resolve) => (release = resolve)),
    },
    confirm: (question, signal) => {
      questions.push(question);
      return new Promise((resolve) => {
        answer = resolve;
        signal.addEventListener('abort', () => resolve(false));
      });
    },
    ...options,
  });
  return { mayLoad, questions, answer: (allowed: boolean) => answer(allowed), release: () => release() };
}

const asked = (questions: Question[], count = 1) => vi.waitFor(() => expect(questions).toHaveLength(count));

it('a small model, and any model while no one else has one, are loaded without a question', async () => {
  const { mayLoad, questions } = setUp();
  await mayLoad({ modelId: 'small' }, undefined);
  await setUp({ locks: { claim: async () => true, claimAfterOthers: async () => {} } }).mayLoad(
    { modelId: 'large' },
    undefined,
  );
  expect(questions).toEqual([]);
});

it('a large model beside another one is loaded once the user allows it, who is asked once', async () => {
  const { mayLoad, questions, answer } = setUp();
  const allowed = mayLoad({ modelId: 'large' }, undefined);
  await asked(questions);
  expect(questions[0].text).toContain('Mixtral would take up to about 26.4 GB beside it.');
  answer(true);
  await allowed;
  await mayLoad({ modelId: 'large' }, undefined); // loaded again, for example after its device was lost
  expect(questions).toHaveLength(1);
});

it('the budgets of the load count: below 1 GB nobody is asked, and more than what was allowed is asked about again', async () => {
  const { mayLoad, questions, answer } = setUp();
  const budgets = { compute: 'gpu', gpuBudgetBytes: 600e6, ramBudgetBytes: 300e6 } as const;
  await mayLoad({ modelId: 'large', ...budgets }, undefined);
  expect(questions).toEqual([]);
  const allow = async (gpuBudgetBytes: number, expected: string): Promise<void> => {
    const allowed = mayLoad({ modelId: 'large', ...budgets, gpuBudgetBytes }, undefined);
    await vi.waitFor(() => expect(questions.at(-1)?.text).toContain(`up to about ${expected} beside it`));
    answer(true);
    await allowed;
  };
  await allow(6e9, '6.3 GB');
  await mayLoad({ modelId: 'large', ...budgets, gpuBudgetBytes: 5e9 }, undefined);
  expect(questions).toHaveLength(1);
  await allow(8e9, '8.3 GB');
  const refused = expect(mayLoad({ modelId: 'large' }, undefined)).rejects.toMatchObject({
    code: 'loaded-elsewhere',
    message: expect.stringContaining('up to about 26.4 GB'),
  });
  await asked(questions, 3);
  answer(false);
  await refused;
});

it('it is refused if the user declines or cannot see the frame', async () => {
  const { mayLoad, questions, answer } = setUp();
  const refused = expect(mayLoad({ modelId: 'large' }, undefined)).rejects.toMatchObject({
    code: 'loaded-elsewhere',
    message: expect.stringContaining('26.4 GB'),
  });
  await asked(questions);
  answer(false);
  await refused;
  await expect(setUp({ confirm: async () => false }).mayLoad({ modelId: 'large' }, undefined)).rejects.toMatchObject({
    code: 'loaded-elsewhere',
  });
});

it('it is loaded as soon as the other tab is closed', async () => {
  const { mayLoad, questions, release } = setUp();
  const allowed = mayLoad({ modelId: 'large' }, undefined);
  await asked(questions);
  release();
  await allowed;
});

it('an abort ends the question', async () => {
  const { mayLoad, questions } = setUp();
  const abort = new AbortController();
  const refused = expect(mayLoad({ modelId: 'large' }, abort.signal)).rejects.toMatchObject({ code: 'aborted' });
  await asked(questions);
  abort.abort();
  await refused;
});
