// Webhooks: add one, test it, see what was delivered, and deliver again.
import { getJson, postJson, request } from "../lib/api.js";
import { h, newId, replace } from "../lib/dom.js";
import { shortFailure } from "../lib/failure.js";
import { formatNumber } from "../lib/numbers.js";

const EVENTS = [
  "explanation.succeeded",
  "explanation.failed",
  "explanation.canceled",
  "explanation.expired",
  "explanation.recorded",
  "batch.finished",
];
const JSON_BODY = { "Content-Type": "application/json" };

// Returns the card, which reads the webhooks once it is opened.
export function webhooksCard(signal) {
  const said = h("p", { role: "status" });
  const problem = h("p", { class: "field-error", role: "alert" });
  const list = h("div");
  const history = h("div");

  // Runs what a button asks for, and shows what went wrong
  async function attempt(action) {
    said.textContent = problem.textContent = "";
    try {
      await action();
    } catch (error) {
      if (!signal.aborted) problem.textContent = shortFailure(error);
    }
  }

  const refresh = async () => {
    const { items } = await getJson("v1/webhooks", { signal });
    replace(list, items.length ? table(items) : h("p", {}, "There are none."));
  };

  const button = (text, name, action) =>
    h("button", { type: "button", "aria-label": name, on: { click: () => attempt(action) } }, text);

  const table = (items) =>
    scrolling(
      "Webhooks",
      ["Address", "State", "Pending", ""],
      items.map((each) => [
        each.description ? [each.description, h("br"), each.url] : each.url,
        stateOf(each),
        formatNumber(each.pending),
        h(
          "span",
          { class: "row" },
          button("Test", `Test ${each.url}`, () => test(each)),
          button("Deliveries", `Deliveries to ${each.url}`, () => showHistory(each)),
          button(
            each.enabled ? "Disable" : "Enable",
            `${each.enabled ? "Disable" : "Enable"} ${each.url}`,
            () => change(each),
          ),
          button("Delete", `Delete ${each.url}`, () => remove(each)),
        ),
      ]),
    );

  async function test(each) {
    await postJson(`v1/webhooks/${each.id}/test`, { signal });
    said.textContent = "A test is being delivered: see its deliveries.";
    await showHistory(each);
  }

  async function change(each) {
    const body = JSON.stringify({ enabled: !each.enabled });
    await request(`v1/webhooks/${each.id}`, { method: "PATCH", headers: JSON_BODY, body, signal });
    await refresh();
  }

  async function remove(each) {
    if (!window.confirm(`Delete the webhook ${each.url}, with what is pending?`)) return;
    await request(`v1/webhooks/${each.id}`, { method: "DELETE", signal });
    replace(history);
    await refresh();
  }

  async function showHistory(each) {
    const { items } = await getJson(`v1/webhooks/${each.id}/deliveries`, { signal });
    const again = (delivery) =>
      button("Replay", `Replay ${delivery.id}`, async () => {
        await postJson(`v1/webhooks/${each.id}/deliveries/${delivery.id}/replay`, { signal });
        await showHistory(each);
      });
    replace(
      history,
      h("h3", {}, `Deliveries to ${each.url}`),
      button("Look again", "Look again for deliveries", () => showHistory(each)),
      items.length
        ? scrolling(
            "Deliveries",
            ["Event", "About", "Status", "Last attempt", ""],
            items.map((delivery) => [
              delivery.type,
              subjectOf(delivery),
              delivery.status,
              lastAttempt(delivery),
              again(delivery),
            ]),
          )
        : h("p", {}, "Nothing was delivered yet."),
    );
  }

  async function add(form) {
    const events = [...form.querySelectorAll("input:checked")].map((each) => each.value);
    const body = JSON.stringify({ url: form.elements.url.value, events });
    const made = await postJson("v1/webhooks", { headers: JSON_BODY, body, signal });
    form.reset();
    replace(said, "Added. Its secret, which is shown only now: ", h("code", {}, made.secret));
    await refresh();
  }

  const card = h(
    "details",
    { class: "card webhooks", on: { toggle: () => card.open && attempt(refresh) } },
    h("summary", {}, h("h2", {}, "Webhooks")),
    h("p", {}, "Addresses that are told when explanations end."),
    list,
    addForm((form) => attempt(() => add(form))),
    said,
    problem,
    history,
  );
  return card;
}

function addForm(add) {
  const url = newId("webhook-url");
  const form = h(
    "form",
    {
      on: {
        submit: (event) => {
          event.preventDefault();
          add(form);
        },
      },
    },
    h("label", { for: url }, "Address of a receiver"),
    h("input", { id: url, name: "url", type: "url", required: true, placeholder: "https://…" }),
    h(
      "fieldset",
      { class: "row" },
      h("legend", {}, "Events"),
      EVENTS.map((each) =>
        h(
          "label",
          {},
          h("input", { type: "checkbox", value: each, checked: !each.endsWith("recorded") }),
          ` ${each}`,
        ),
      ),
    ),
    h("button", { class: "primary" }, "Add"),
  );
  return form;
}

function stateOf(each) {
  if (!each.enabled) return `disabled: ${each.disabled_for}`;
  if (!each.failing_since) return "enabled";
  return `fails since ${new Date(each.failing_since).toLocaleString()}`;
}

function lastAttempt({ attempts, next_attempt_at: next }) {
  const last = attempts.at(-1);
  const what = last ? (last.error ?? `answered ${last.status_code}`) : "none yet";
  return next ? `${what}; next ${new Date(next).toLocaleString()}` : what;
}

const subjectOf = ({ subject }) =>
  subject.startsWith("exp_")
    ? h("a", { href: `#/explanations/${subject}` }, subject.slice(0, 12))
    : subject.slice(0, 14);

const scrolling = (name, heads, rows) =>
  h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": name },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)))),
      h(
        "tbody",
        {},
        rows.map((cells) => h("tr", {}, cells.map((each) => h("td", {}, each)))),
      ),
    ),
  );
