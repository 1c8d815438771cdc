/** Reports of the expert cache while another model is loaded, with an engine that answers when the test says so. */
import { expect, it, vi } from 'vitest';
import type { ExpertsReport, LoadedModel } from '../../contract/engine-api.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
const answers: ((report: ExpertsReport) => void)[] = [];
const engine = { experts: () => new Promise<ExpertsReport>((resolve) => answers.push(resolve)) };
vi.mock('./workers.ts', () => ({ engine }));

const { askForReport, shownReport } = await import('./experts-report.ts');
const { loaded } = await import('../state/models.ts');

const model = (id: string) => ({ summary: { id } }) as LoadedModel;
const report = (tokens: number) => ({ tokens }) as unknown as ExpertsReport;

it('never shows the experts of one model under the name of another', async () => {
  loaded.value = model('a');
  const first = askForReport();
  answers.shift()!(report(1));
  await first;
  expect(shownReport()).toEqual(report(1));

  loaded.value = model('b');
  expect(shownReport()).toBeUndefined();

  const late = askForReport(); // asked about b, answered after it was replaced
  loaded.value = model('c');
  answers.shift()!(report(2));
  await late;
  expect(shownReport()).toBeUndefined();

  const last = askForReport();
  answers.shift()!(report(3));
  await last;
  expect(shownReport()).toEqual(report(3));
  loaded.value = undefined;
  expect(shownReport()).toBeUndefined();
});
