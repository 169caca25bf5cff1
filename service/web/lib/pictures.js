// The files that were sent from this tab, by the id of their explanation, kept to be shown at once.

const LARGEST = 50; // pictures kept
const files = new Map();

export function keepPicture(id, file) {
  files.set(id, file);
  if (files.size > LARGEST) files.delete(files.keys().next().value);
}

export const pictureOf = (id) => files.get(id) ?? null;
