/**
 * Creates a unique id of 128 random bits. `crypto.randomUUID` is missing if the page was loaded neither over https nor
 * from localhost.
 */
export function newId(random: Pick<Crypto, 'getRandomValues'> & { randomUUID?: () => string } = crypto): string {
  if (random.randomUUID) return random.randomUUID();
  return Array.from(random.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
