// Holding and reviewing an explanation: who keeps it and why, what people said of it, and the forms.
import { h, newId, replace } from "../lib/dom.js";
import { getJson, request } from "../lib/api.js";
import { shortFailure } from "../lib/failure.js";
import { formatTime } from "../lib/numbers.js";
import { randomKey } from "../lib/random_key.js";
import { signedIn } from "../lib/session.js";

const VERDICTS = { accept: "Accept", reject: "Reject", override: "Override" };
const SAID = { accept: "accepted", reject: "rejected", override: "overridden" };

const [MOST_LABEL, MOST_COMMENT, MOST_REASON, MOST_NAME] = [1000, 2000, 500, 100]; // characters

// signedRecord: the promise of `loadRecord`; without a record nothing can be reviewed.
export function keeping(document, signedRecord, signal) {
  const path = `v1/explanations/${document.id}`;
  const [reviews, review, hold] = [h("div"), h("div"), h("div")]; // what is typed in one stays
  const content = h("div", { class: "keeping" }, reviews, review, hold);
  const section = h(
    "section",
    { class: "card kept", "aria-label": "Reviews and hold" },
    h("h2", {}, "Reviews and hold"),
    content,
  );
  let held = document.hold;

  async function showReviews(some) {
    try {
      const { items } = some ? await getJson(`${path}/reviews`, { signal }) : { items: [] };
      const none = h("p", { class: "muted" }, "Nobody has reviewed it.");
      replace(reviews, items.length ? list(items) : none);
    } catch (error) {
      if (!signal.aborted) replace(reviews, h("p", { class: "field-error" }, shortFailure(error)));
    }
  }

  function showReviewForm({ problem }) {
    const refused = h("p", { class: "muted" }, `It cannot be reviewed now. ${problem}`);
    replace(review, problem ? refused : reviewForm(onReviewed));
  }

  const showHold = () =>
    replace(hold, held ? [heldBy(held), releaseForm(onReleased)] : holdForm(onHeld));

  async function onReviewed(said) {
    await send(`${path}/reviews`, "POST", said, signal, { "Idempotency-Key": randomKey() });
    showReviewForm(await signedRecord);
    focusOn("Review");
    await showReviews(true);
  }

  async function onHeld(asked) {
    held = await (await send(`${path}/hold`, "PUT", asked, signal)).json();
    showHold();
    focusOn("Hold");
  }

  async function onReleased() {
    await request(`${path}/hold`, { method: "DELETE", signal });
    held = null;
    showHold();
    focusOn("Hold");
  }

  // The form that was sent is replaced, and the focus with it.
  function focusOn(title) {
    const found = [...content.querySelectorAll("summary")];
    found.find((each) => each.textContent === title)?.focus();
  }

  showReviews(Boolean(document.links.reviews));
  signedRecord.then(showReviewForm);
  showHold();
  return section;
}

const send = (path, method, body, signal, headers = {}) =>
  request(path, {
    method,
    signal,
    body: JSON.stringify(body),
    headers: { ...headers, "Content-Type": "application/json" },
  });

// “overridden: tiger cat, by Ada at …”, the last review first.
function list(reviews) {
  return h(
    "ol",
    { class: "reviews", reversed: true },
    reviews.toReversed().map(({ verdict, label, reviewer, reviewed_at: at, comment }) =>
      h(
        "li",
        {},
        h("span", { class: `badge ${verdict === "accept" ? "fine" : "caution"}` }, SAID[verdict]),
        label ? [" ", h("strong", {}, label)] : null,
        h("span", { class: "muted" }, ` by ${reviewer}, ${formatTime(at)}`),
        comment ? h("p", {}, comment) : null,
      ),
    ),
  );
}

function reviewForm(onSubmit) {
  const verdict = h(
    "select",
    { required: true },
    h("option", { value: "" }, "choose"),
    Object.entries(VERDICTS).map(([value, title]) => h("option", { value }, title)),
  );
  const label = limited(h("input"), MOST_LABEL);
  const comment = limited(h("textarea", { rows: 2 }), MOST_COMMENT);
  const reviewer = nameField();
  const right = field("The right label", label);
  const update = () => {
    right.hidden = verdict.value !== "override";
    label.required = !right.hidden;
  };
  verdict.addEventListener("change", update);
  update();
  return form(
    "Review",
    "Sign the review",
    [field("Verdict", verdict), right, field("Comment", comment), reviewer.control],
    () =>
      onSubmit({
        verdict: verdict.value,
        label: right.hidden ? null : label.value,
        comment: comment.value.trim() || null,
        reviewer: reviewer.value(),
      }),
    "It is signed, and cannot be taken back: the last review counts.",
  );
}

function holdForm(onSubmit) {
  const reason = limited(h("input", { required: true, pattern: ".*\\S.*" }), MOST_REASON);
  const until = h("input", { type: "datetime-local" });
  const name = nameField();
  return form(
    "Hold",
    "Hold it",
    [field("Reason", reason), field("Until (empty: until released)", until), name.control],
    () =>
      onSubmit({
        reason: reason.value,
        until: until.value ? new Date(until.value).toISOString() : null,
        name: name.value(),
      }),
    "A held explanation neither expires nor can be deleted.",
  );
}

function heldBy({ by, since, reason, until }) {
  const ends = until ? `, until ${formatTime(until)}` : "";
  return h(
    "p",
    {},
    h("span", { class: "badge note" }, "held"),
    ` by ${by} since ${formatTime(since)}${ends}: `,
    h("strong", {}, reason),
  );
}

const releaseForm = (onSubmit) =>
  form("Hold", "Release the hold", [], onSubmit, "Then it expires after the rest of its time.");

// Who does it, which the key names where there is one.
function nameField() {
  const input = limited(h("input", { required: true, autocomplete: "name" }), MOST_NAME);
  const named = signedIn();
  return { control: named ? null : field("Your name", input), value: () => (named ? null : input.value) };
}

// Refuses what is too long, which `maxlength` would cut without a word.
function limited(box, most) {
  box.addEventListener("input", () => {
    const long = [...box.value].length;
    const said = `These are ${long} characters, and at most ${most} are taken. Shorten it.`;
    box.setCustomValidity(long > most ? said : "");
  });
  return box;
}

function field(title, input) {
  input.id = newId("keeping");
  return h("div", { class: "control" }, h("label", { for: input.id }, title), input);
}

function form(title, action, fields, onSubmit, help) {
  const problem = h("p", { class: "field-error", role: "alert" });
  const button = h("button", { type: "submit" }, action);
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      await onSubmit();
    } catch (error) {
      problem.textContent = error.name === "AbortError" ? "" : shortFailure(error);
    }
    button.disabled = false;
  }
  return h(
    "details",
    {},
    h("summary", {}, title),
    h(
      "form",
      { "aria-label": title, on: { submit } },
      fields,
      h("p", { class: "help" }, help),
      h("div", { class: "row" }, button),
      problem,
    ),
  );
}
