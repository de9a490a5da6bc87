// Date fields are plain <input type=date>. Here a calendar stands in for them:
// [data-dates=range] with two inputs, [data-dates=day] with one. Needs vendor/cally.js.
import "../vendor/cally.js";

const WORDS = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const inWords = (day) => WORDS.format(new Date(`${day}T00:00:00Z`));

function label(inputs) {
  const days = inputs.map((input) => input.value).filter(Boolean);
  if (days.length === 0) return "Choose a date";
  return [...new Set(days)].map(inWords).join(" – ");
}

function makeCalendar(kind, inputs, box) {
  const calendar = document.createElement(kind === "range" ? "calendar-range" : "calendar-date");
  const months = window.innerWidth > 720 ? Number(box.dataset.months ?? 1) : 1;
  calendar.setAttribute("locale", "en-GB");
  calendar.setAttribute("first-day-of-week", "1");
  calendar.setAttribute("months", months);
  for (const limit of ["min", "max"]) {
    if (inputs[0].getAttribute(limit)) calendar.setAttribute(limit, inputs[0].getAttribute(limit));
  }
  if (box.dataset.today) calendar.setAttribute("today", box.dataset.today);
  const row = document.createElement("div");
  row.className = "calendar-months";
  for (let offset = 0; offset < months; offset += 1) {
    const month = document.createElement("calendar-month");
    if (offset) month.setAttribute("offset", offset);
    row.append(month);
  }
  calendar.append(row);
  return calendar;
}

// Two months side by side look back, not ahead, where later days cannot be chosen.
function firstShown(day, calendar) {
  const max = calendar.max;
  if (!max || Number(calendar.months) < 2 || (day && day.slice(0, 7) !== max.slice(0, 7))) return day;
  const before = new Date(`${max.slice(0, 7)}-01T00:00:00Z`);
  before.setUTCDate(0);
  const text = before.toISOString().slice(0, 10);
  return calendar.min && text < calendar.min ? day : text;
}

function setUp(box) {
  box.dataset.ready = "yes";
  const kind = box.dataset.dates;
  const inputs = [...box.querySelectorAll("input[type=date]")];
  const preset = box.querySelector("select");
  const plain = box.querySelector("[data-plain]");
  const calendar = makeCalendar(kind, inputs, box);

  const button = document.createElement("button");
  button.type = "button";
  button.className = "calendar-button";
  button.setAttribute("aria-expanded", "false");
  const words = document.createElement("span");
  words.className = "number";
  button.append(words);
  button.insertAdjacentHTML("beforeend", '<span aria-hidden="true">▾</span>');
  const name = box.dataset.label;

  const drawer = document.createElement("div");
  drawer.className = "calendar-box";
  drawer.hidden = true;
  drawer.append(calendar);

  const draw = () => {
    words.textContent = label(inputs);
    button.setAttribute("aria-label", `${name}: ${words.textContent}`);
    const days = inputs.map((input) => input.value);
    calendar.value = kind === "range" ? (days[0] && days[1] ? days.join("/") : "") : days[0];
    calendar.focusedDate = firstShown(days[0], calendar);
  };

  button.addEventListener("click", () => {
    drawer.hidden = !drawer.hidden;
    button.setAttribute("aria-expanded", String(!drawer.hidden));
    if (!drawer.hidden) calendar.focus();
  });
  calendar.addEventListener("change", () => {
    const days = calendar.value.split("/");
    inputs.forEach((input, index) => (input.value = days[index] ?? days[0]));
    if (preset) preset.value = "custom";
    draw();
    drawer.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
    inputs[0].dispatchEvent(new Event("change", { bubbles: true }));
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || drawer.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    button.click();
    button.focus();
  });
  preset?.addEventListener("change", () => {
    const option = preset.selectedOptions[0];
    if (!option.dataset.first) return;
    inputs[0].value = option.dataset.first;
    inputs[1].value = option.dataset.last;
    draw();
  });

  if (inputs.some((input) => input.getAttribute("aria-invalid") === "true")) button.setAttribute("aria-invalid", "true");
  plain.hidden = true;
  plain.before(button, drawer);
  draw();
}

const setUpAll = () => {
  for (const box of document.querySelectorAll("[data-dates]:not([data-ready])")) setUp(box);
};
setUpAll();
document.addEventListener("htmx:afterSettle", setUpAll);
