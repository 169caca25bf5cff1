// Asking again: the link to the form with the settings of an explanation filled in, and the files
// that were sent with it.
import { h } from "../lib/dom.js";
import { getBlob } from "../lib/api.js";

export const askAgain = ({ id }) =>
  h("a", { class: "button", href: `#/new?from=${id}` }, "Ask again with one change");

// {picture, labelMap: or null}, as files.
export async function sentFiles({ id, image, label_map }, signal) {
  const file = async (path, name) => {
    const blob = await getBlob(`v1/explanations/${id}/${path}`, { signal });
    return new File([blob], name, { type: blob.type });
  };
  const [picture, labelMap] = await Promise.all([
    file("picture", image.name ?? "picture"),
    label_map && file("label_map", "label_map"),
  ]);
  return { picture, labelMap };
}
