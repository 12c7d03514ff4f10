// One review in a dialog: its facts, its full history, and the form of the step that comes next. What was typed and the
// press it became are kept until the server has answered; whoever comes second is shown what the first one did.

import { path } from "./api.js";
import { el, paint, show, toast } from "./dom.js";
import { both, explain, label, words } from "./i18n.js";
import { answered, Kept } from "./kept.js";
import { actor, due, history, moment } from "./history.js";
import { bodyOf, FORMS, missing, MOST, overdue } from "./review-steps.js";
import { focusRow } from "./rows.js";

// `tools`: {api, hall, staff, names, now, workdays, changed}; `staff`: who logged in, if somebody did. `changed` is told after a step and when a review turned out to
// be another than it was listed as.
export function openReview(id, { api, hall, staff, names, now, workdays, changed }) {
  const base = path(hall, "reviews", id);
  const kept = new Kept(`review:${hall}:${id}`, staff);
  const facts = el("dl", { class: "facts" });
  const told = el("div", {});
  const form = el("form", { class: "step", novalidate: true });
  const trouble = el("p", { class: "bad card trouble", role: "alert", hidden: true });
  const send = el("button", { type: "submit", class: "main", id: "review-send", title: "Ctrl+Enter" });
  const heading = el("h2", { id: "review-title", tabindex: "-1" }, id);
  const close = el("button", { type: "button", class: "quiet", onclick: () => box.close() }, label("close"));
  const again = el("button", { type: "button", class: "quiet", onclick: () => load() }, label("reload_review"));
  const box = el("dialog", { class: "review", id: "review", "aria-labelledby": "review-title" },
    heading, el("div", { class: "sides" }, el("div", {}, facts, told), el("div", { class: "act" }, form, trouble)),
    el("p", { class: "row end" }, again, close));
  let answer = null;
  let actors = {}; // who took the steps, as told with the review; a step's own answer does not tell
  let busy = false;
  let taken = 0; // steps taken here: each leaves an empty form

  const say = (content) => {
    trouble.replaceChildren(content ?? "");
    show(trouble, content !== null);
    if (content !== null) trouble.scrollIntoView({ block: "nearest" }); // a long history may lie between
  };

  async function load() {
    try {
      take(await api.get(base));
      say(kept.press ? label("step_unsure") : null);
    } catch (error) {
      say(explain(error));
    }
  }

  function take(next) {
    const before = answer?.review;
    answer = next;
    actors = { ...actors, ...next.actors };
    if (before && before.history.length !== next.review.history.length) changed();
    draw();
  }

  function draw() {
    const { review, steps } = answer;
    heading.replaceChildren(`${review.id} · ${review.ticket.split("-").at(-1)} `, label(`review_${review.state}`));
    const fact = (text, ...value) => [el("dt", {}, label(text)), el("dd", {}, ...value)];
    facts.replaceChildren(...[
      fact("source", label(`source_${review.source}`)),
      review.window ? fact("window", both(...names.place(review.window))) : [],
      fact("service", both(...names.service(review.service))),
      review.staff ? fact("staff_id", actor(review.staff, actors)) : [],
      fact("opened", moment(review.opened_ms, names.zone)),
      review.assignee ? fact("assignee", actor(review.assignee, actors)) : [],
      review.result ? fact("finding", label(`result_${review.result}`)) : [],
      review.term ? fact(`term_${review.term}`, due(review.due_ms, now(), names.zone, workdays)) : [],
      review.late && !overdue(review, now()) ? fact("late", label("was_late")) : [],
      review.state === "appealed" ? [] : fact("do_step_appeal", mayAppeal() ? label("appeal_until", { day: moment(review.appeal_until_ms, names.zone) })
        : label("appeal_over")),
    ].flat());
    paint(told, [review.history, actors], () => [history(review.history, names.zone, actors)]);
    const open = steps.filter((step) => step !== "appeal" || mayAppeal());
    paint(form, [open, taken], () => fields(open));
  }

  const mayAppeal = () => answer.review.appeal_until_ms !== null && now() <= answer.review.appeal_until_ms;
  const chosen = (steps) => (steps.includes(kept.values.step) ? kept.values.step : steps[0]);

  function fields(steps) {
    if (!steps.length) return [el("p", { class: "quietly" }, label("no_step"))];
    const at = el("div", {});
    const pick = (step) => {
      kept.keep({ step });
      at.replaceChildren(...FORMS[step].map((field) => input(step, field)), el("p", { class: "row" }, send));
      drawSend();
    };
    const first = chosen(steps);
    const choice = el("fieldset", { class: "steps" }, el("legend", {}, label("next_step")),
      steps.map((step) => el("label", { class: "pick" }, el("input", {
        type: "radio", name: "step", value: step, checked: step === first, onchange: () => pick(step),
      }), label(`do_step_${step}`))));
    pick(first);
    return [choice, at];
  }

  // What the button does: the step, or the same press once more.
  function drawSend() {
    const step = chosen(answer.steps);
    send.disabled = busy;
    send.replaceChildren(label(kept.press?.address === `${base}/${step}` ? "try_again" : `do_step_${step}`));
  }

  function input(step, { name, text, kind, required, of }) {
    const typed = kept.values[step] ?? {};
    const keep = (event) => kept.keep({ [step]: { ...kept.values[step], [name]: event.target.value } });
    if (kind === "choice") {
      return el("fieldset", { class: "steps" }, el("legend", {}, label(text)), of.map((value) => el("label", { class: "pick" },
        el("input", { type: "radio", name, value, checked: typed[name] === value, onchange: keep }), label(`result_${value}`))));
    }
    const props = { name, maxlength: MOST[kind], required, oninput: keep, autocomplete: "off" };
    const field = kind === "line" ? el("input", props) : el("textarea", { ...props, rows: 3 });
    field.value = typed[name] ?? "";
    return el("label", {}, label(text), field);
  }

  // Whatever happens, what was typed stays until the step is on record.
  async function takeStep() {
    const steps = answer?.steps ?? []; // none before the review has come
    if (busy || !steps.length) return;
    const step = chosen(steps);
    const values = kept.values[step] ?? {};
    const gap = missing(step, values);
    if (gap) {
      const [what, what_en] = words(gap.text);
      say(label("fill_in", { what, what_en }));
      form.elements[gap.name]?.focus?.();
      return;
    }
    busy = true;
    again.disabled = true;
    drawSend();
    say(null);
    try {
      const next = await kept.send(api, `${base}/${step}`, bodyOf(step, values));
      const [what, what_en] = words(`do_step_${step}`);
      toast(label("step_done", { what, what_en }), "good");
      taken += 1;
      take(next);
      api.get(base).then(take, () => {}); // brings who it was
      heading.focus(); // the form that had the focus is another one now
    } catch (error) {
      await failed(step, error);
    }
    busy = false;
    again.disabled = false;
    if (answer.steps.length) drawSend();
  }

  async function failed(step, error) {
    if (!answered(error)) {
      say(label("step_unsure"));
    } else if (error.code === "wrong_state" && step === "appeal" && error.body.appeal_until_ms !== undefined) {
      await load();
      say(label("appeal_closed"));
    } else if (error.code === "wrong_state") {
      await load();
      const [state, state_en] = words(`review_${answer.review.state}`);
      say(label("step_moved", { state, state_en }));
      changed();
    } else {
      say(explain(error));
    }
    if (!box.open) toast(explain(error), "bad");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    takeStep();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) takeStep();
  });
  box.addEventListener("close", () => {
    box.remove();
    if (document.activeElement === document.body) focusRow(id); // the row it was opened from was painted anew
  });
  document.body.append(box);
  box.showModal();
  heading.focus();
  return load();
}
