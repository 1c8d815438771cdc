import { useEffect, useState } from 'preact/hooks';
import { loadCode } from '../../state/lazy-code.ts';
import type { NamedText } from '../../state/paper.ts';
import { ownText } from '../../state/text-routing.ts';
import { OWN, OWN_NAME, SAMPLES } from './samples.ts';

/**
 * Loads bundled texts when they are first needed.
 * @param ids of samples, or {@link OWN}; unknown ones stand for the first sample
 * @returns the texts in the order of the ids; undefined for one that is being loaded
 */
export function useTexts(ids: readonly string[]): (NamedText | undefined)[] {
  const [texts, setTexts] = useState<Record<string, string>>({});
  useEffect(() => {
    for (const id of ids) {
      if (id === OWN) continue;
      const sample = sampleOf(id);
      void loadCode(sample.load).then((text) => {
        if (text !== undefined) setTexts((all) => (sample.id in all ? all : { ...all, [sample.id]: text }));
      });
    }
  }, [ids.join()]);
  return ids.map((id) => {
    if (id === OWN) return { name: OWN_NAME, text: ownText.value };
    const { id: known, name } = sampleOf(id);
    return known in texts ? { name, text: texts[known] } : undefined;
  });
}

const sampleOf = (id: string) => SAMPLES.find((sample) => sample.id === id) ?? SAMPLES[0];
