// Pictures by drop, paste or choice, with previews.
import { h, newId, replace } from "../lib/dom.js";
import { formatBytes } from "../lib/numbers.js";

const MOST = 32; // pictures of a batch

// Sends "change" from `element` when `files` changes. truths: see true_labels.js.
export function pictureInput(truths, signal) {
  const [id, errorId] = [newId("picture"), newId("picture-error")];
  const input = h("input", {
    type: "file",
    id,
    accept: "image/*,.heic,.avif,.tif,.tiff,.ppm,.pgm,.bmp,.csv",
    multiple: true,
    "aria-describedby": errorId,
    on: { change: () => add([...input.files]) },
  });
  const previews = h("ul", { class: "previews" });
  const problem = h("p", { class: "field-error", id: errorId, role: "alert" });
  const told = h("p", { class: "small", role: "status" });
  const zone = h(
    "div",
    { class: "drop" },
    h("label", { for: id }, "Choose, drop or paste a picture, or several"),
    input,
    previews,
    h(
      "p",
      { class: "help" },
      "True labels change no value; they tell right from wrong in lists and Cohorts. For many pictures add a CSV file with lines of a file name and a label.",
    ),
    told,
    problem,
    truths.list,
  );
  let files = [];
  const urls = new Map(); // of the previews, by file

  function urlOf(file) {
    if (!urls.has(file)) urls.set(file, URL.createObjectURL(file));
    return urls.get(file);
  }

  async function add(more) {
    const tables = more.filter(({ name }) => /\.csv$/i.test(name));
    const all = [...files, ...more.filter((file) => !tables.includes(file))];
    files = all.slice(0, MOST);
    setError(all.length > MOST ? `A batch has at most ${MOST} pictures; ${all.length - MOST} are left out.` : "");
    draw();
    for (const table of tables) told.textContent = await truths.addTable(table, files);
  }

  function draw() {
    replace(
      previews,
      files.map((file, n) => {
        const image = h("img", { alt: "", src: urlOf(file), on: { error: () => image.remove() } }); // HEIC and TIFF
        return h(
          "li",
          {},
          image,
          h(
            "span",
            { class: "file-name" },
            file.name,
            " ",
            h("span", { class: "muted" }, formatBytes(file.size)),
          ),
          truths.elementOf(file),
          h(
            "button",
            {
              type: "button",
              class: "quiet",
              "aria-label": `Remove ${file.name}`,
              on: {
                click: () => {
                  files = files.filter((_, other) => other !== n);
                  draw();
                  input.focus();
                },
              },
            },
            "Remove",
          ),
        );
      }),
    );
    const chosen = new DataTransfer();
    for (const file of files) chosen.items.add(file);
    input.files = chosen.files; // so that the field names them, also those dropped or pasted
    zone.dispatchEvent(new Event("change"));
  }

  const setError = (text) => {
    problem.textContent = text;
    if (text) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    } else input.removeAttribute("aria-invalid");
  };

  for (const [event, over] of [
    ["dragenter", true],
    ["dragover", true],
    ["dragleave", false],
    ["drop", false],
  ]) {
    zone.addEventListener(event, (dragged) => {
      dragged.preventDefault();
      zone.classList.toggle("over", over);
      if (event === "drop") add([...dragged.dataTransfer.files]);
    });
  }
  const paste = (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length) {
      event.preventDefault();
      add(pasted);
    }
  };
  addEventListener("paste", paste, { signal });
  signal.addEventListener(
    "abort",
    () => {
      for (const url of urls.values()) URL.revokeObjectURL(url);
    },
    { once: true },
  );

  return {
    element: zone,
    add,
    setError,
    get files() {
      return files;
    },
  };
}
