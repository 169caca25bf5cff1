// The true labels of pictures, beside each picture or from a table of file names and labels.
import { h, newId, replace } from "../lib/dom.js";
import { getJson } from "../lib/api.js";

// model: gives the name of the chosen one, whose labels are proposed. known: labels, by file.
export function trueLabels(model, known, signal) {
  const list = h("datalist", { id: newId("labels") });
  const fields = new Map(); // by file: {element, input, problem}
  const table = new Map(); // label by file name
  let proposed = null; // name of the model whose labels are in the list

  async function propose() {
    const name = model();
    if (!name || name === proposed) return;
    proposed = name;
    try {
      const { labels } = await getJson(`v1/models/${encodeURIComponent(name)}`, { signal });
      replace(list, [...new Set(labels)].map((value) => h("option", { value })));
    } catch (error) {
      if (!signal.aborted) console.warn(error); // labels can be typed without it
    }
  }

  function fieldOf(file) {
    if (fields.has(file)) return fields.get(file);
    const [id, errorId] = [newId("truth"), newId("truth-error")];
    const input = h("input", {
      type: "text",
      id,
      list: list.id,
      autocomplete: "off",
      placeholder: "if you know it",
      "aria-describedby": errorId,
      on: { focus: propose },
    });
    input.value = known.get(file) ?? table.get(file.name) ?? "";
    const problem = h("p", { class: "field-error", id: errorId });
    const label = h("label", { for: id, class: "small" }, "True label");
    fields.set(file, { element: h("div", {}, label, input, problem), input, problem });
    return fields.get(file);
  }

  // A label of the model, else an index, as the server takes either.
  function valueOf(file) {
    const text = fieldOf(file).input.value.trim();
    const isLabel = [...list.options].some(({ value }) => value === text);
    if (text === "") return null;
    return /^\d+$/.test(text) && !isLabel ? Number(text) : text;
  }

  return {
    list,
    elementOf: (file) => fieldOf(file).element,

    // The setting for these pictures: {}, {true_label} of one or {true_labels} of several.
    read(files) {
      const values = files.map(valueOf);
      if (values.every((each) => each === null)) return {};
      return files.length > 1 ? { true_labels: values } : { true_label: values[0] };
    },

    texts: () => new Map([...fields].map(([file, { input }]) => [file, input.value])),

    // Reads lines of a file name and a label, and fills the fields of these pictures, and of those
    // that are added later. Returns what it found, in words.
    async addTable(file, pictures) {
      await propose(); // tells labels that are numbers from indices
      const lines = (await file.text()).split(/\r?\n/).map(cellsOf);
      for (const [name, label] of lines) if (label) table.set(name.split(/[\\/]/).at(-1), label);
      const named = pictures.filter(({ name }) => table.has(name));
      for (const each of named) fieldOf(each).input.value = table.get(each.name);
      const count = `${file.name} has the labels of ${named.length} of ${pictures.length} pictures`;
      return named.length < pictures.length
        ? `${count}; a line has a file name, a comma and a label.`
        : `${count}.`;
    },

    clearErrors: () => fields.forEach((_, file) => setError(file, "")),
    setError,
  };

  function setError(file, text) {
    const { input, problem } = fieldOf(file);
    problem.textContent = text;
    if (text) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    } else input.removeAttribute("aria-invalid");
  }
}

// The two cells of a line of CSV; what follows the first comma, semicolon or tab is the label.
function cellsOf(line) {
  const [, ...cells] = line.match(/^\s*("(?:[^"]|"")*"|[^,;\t]*)\s*[,;\t]\s*(.*?)\s*$/) ?? ["", ""];
  return cells.map((cell) => cell.replace(/^"(.*)"$/, "$1").replaceAll('""', '"').trim());
}
