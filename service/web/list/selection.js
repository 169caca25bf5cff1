// The explanations that are chosen in the list; kept from page to page until the tab is closed.

const chosen = new Map(); // documents by id

export const selection = {
  has: (id) => chosen.has(id),
  documents: () => [...chosen.values()],
  choose: (document) => chosen.set(document.id, document),
  drop: (id) => chosen.delete(id),
  clear: () => chosen.clear(),
};

// What a person calls an explanation: its file or top class, with its method.
export function nameOf({ id, image, outputs, settings }) {
  return `${image.name ?? outputs?.[0].label ?? id.slice(0, 12)}, ${settings.method}`;
}
