// What somebody may have meant.

const plain = (word: string): string => word.toLowerCase().replace(/[_.-]/g, "");

/** Letters that are wrong, missing or too many. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + Number(one[i - 1] !== other[j - 1])));
    }
    row = next;
  }
  return row[other.length];
}

/** The known word that is most like this one, if one is: at most a third of it is wrong. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = plain(word);
  if (wanted === "" || wanted.length > 64) return undefined;
  const near = known.map((one) => ({ one, steps: distance(wanted, plain(one)) })).sort((a, b) => a.steps - b.steps)[0];
  return near && near.steps <= Math.max(1, Math.floor(wanted.length / 3)) ? near.one : undefined;
}
