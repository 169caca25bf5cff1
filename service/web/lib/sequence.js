// The list that a person came from: its explanations in their order, to go from one to the next.

let sequence = { ids: [], address: null };
let seen = null; // the explanation that was looked at last

// address: of the list, such as #/explanations?label=cat.
export const keepSequence = (ids, address) => (sequence = { ids, address });

// {previous, next: ids or null, position from 1, count, address}; null if it is not in the list.
export function placeInSequence(id) {
  const { ids, address } = sequence;
  const n = ids.indexOf(id);
  seen = id;
  if (n < 0) return null;
  const [previous, next] = [ids[n - 1] ?? null, ids[n + 1] ?? null];
  return { previous, next, position: n + 1, count: ids.length, address };
}

// The explanation that was looked at since this was asked last, or null.
export function lastSeen() {
  const id = seen;
  seen = null;
  return id;
}
