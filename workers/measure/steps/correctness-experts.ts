/** Compares the kernels of the experts with float64. */

import type { ExpertBank } from '../../compute/gpu/ops/context.ts';
import { expertDown } from '../../compute/gpu/ops/expert-down.ts';
import { expertGateUp } from '../../compute/gpu/ops/expert-gate-up.ts';
import type { WeightTypeName } from '../../format/weight-layout.ts';
import { matmul as exactMatmul } from '../../reference/matmul.ts';
import { TOLERANCE } from '../../reference/tolerance.ts';
import { checkVariants, errorOf, numbers, type ReportError, randomMatrix } from '../check-variants.ts';
import type { Measurement } from '../measurement.ts';
import { workList } from '../work-list.ts';

const WIDTH = 256;
const HIDDEN = 512;
const EXPERTS_PER_TOKEN = 2;
const SLOTS = 4;

/** Gate, up and down of four experts, for a token in decode and for a prompt. */
export async function checkExperts(measurement: Measurement, report: ReportError): Promise<void> {
  for (const type of measurement.shapes.checkedExperts) {
    for (const tokens of [1, 10]) await checkType(measurement, type, tokens, report);
  }
}

/** Four experts with different weights, in one bank. */
function createExperts(type: WeightTypeName) {
  const experts = Array.from({ length: SLOTS }, (_, slot) => {
    const gate = randomMatrix(type, HIDDEN, WIDTH, `gate ${slot}`);
    const up = randomMatrix(type, HIDDEN, WIDTH, `up ${slot}`, gate.layout.bytes);
    return { gate, up, down: randomMatrix(type, WIDTH, HIDDEN, `down ${slot}`) };
  });
  const { gate, up, down } = experts[0];
  const strides = { gateUpStride: gate.layout.bytes + up.layout.bytes, downStride: down.layout.bytes };
  const gateUp = new Uint8Array(strides.gateUpStride * SLOTS);
  const downs = new Uint8Array(strides.downStride * SLOTS);
  for (const [slot, expert] of experts.entries()) {
    const record = gateUp.subarray(slot * strides.gateUpStride, (slot + 1) * strides.gateUpStride);
    expert.gate.repackInto(record);
    expert.up.repackInto(record);
    expert.down.repackInto(downs.subarray(slot * strides.downStride, (slot + 1) * strides.downStride));
  }
  return { experts, gateUp, downs, layouts: { gate: gate.layout, up: up.layout, downLayout: down.layout, ...strides } };
}

type Expert = ReturnType<typeof createExperts>['experts'][0];

/** `down(silu(gate x) * up x)` for one input. */
function exactExpert({ gate, up, down }: Expert, x: Float32Array): Float64Array {
  const gates = exactMatmul(gate.weights, x, HIDDEN, WIDTH).values;
  const ups = exactMatmul(up.weights, x, HIDDEN, WIDTH).values;
  const hidden = gates.map((g, i) => (g / (1 + Math.exp(-g))) * ups[i]);
  return exactMatmul(down.weights, hidden, WIDTH, HIDDEN).values;
}

async function checkType(
  measurement: Measurement,
  type: WeightTypeName,
  tokens: number,
  report: ReportError,
): Promise<void> {
  const { experts, gateUp, downs, layouts } = createExperts(type);
  const used = tokens === 1 ? EXPERTS_PER_TOKEN : SLOTS;
  const assignments = tokens * EXPERTS_PER_TOKEN;
  const x = numbers(tokens * WIDTH, 11);
  const weights = numbers(assignments, 12);
  const expected = new Float64Array(assignments * WIDTH);
  for (let p = 0; p < assignments; p++) {
    const token = Math.floor(p / EXPERTS_PER_TOKEN);
    const result = exactExpert(experts[p % used], x.subarray(token * WIDTH, (token + 1) * WIDTH));
    for (let c = 0; c < WIDTH; c++) expected[p * WIDTH + c] = weights[p] * result[c];
  }
  await measurement.withBuffers(async (buffers) => {
    const bank: ExpertBank = {
      firstSlot: 0,
      slots: SLOTS,
      gateUp: buffers.upload(gateUp),
      down: buffers.upload(downs),
      ...layouts,
    };
    const [input, activations] = [buffers.uploadRows(x, WIDTH), buffers.rows(assignments, HIDDEN)];
    const [routingWeights, output] = [buffers.upload(weights), buffers.rows(assignments, WIDTH)];
    const groups = workList(buffers, used, assignments);
    const maxAssignments = assignments / used;
    const shared = { bank, groups, groupCount: used, maxAssignments, activations, label: 'check' };
    await checkVariants(
      measurement,
      buffers,
      {
        name: `experts ${type}, ${tokens} tokens`,
        state: { tokenCount: tokens },
        record: (ctx) => [
          ...expertGateUp(ctx, { ...shared, expertsPerToken: EXPERTS_PER_TOKEN, input }),
          ...expertDown(ctx, { ...shared, routingWeights, output }),
        ],
        outputs: [activations.slice, output.slice],
        error: async () => errorOf(await buffers.readRows(output, assignments, WIDTH), expected, TOLERANCE.reduction),
      },
      report,
    );
  });
}
