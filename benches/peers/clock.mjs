// What the programs for Node share: how they wait and measure.

export async function timed(work) {
  const begin = performance.now();
  await work();
  return { seconds: (performance.now() - begin) / 1000 };
}

export function pause(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

export function median(times) {
  return times.sort((a, b) => a - b)[times.length >> 1];
}
