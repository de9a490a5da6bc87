// A request that is refused or never arrives must not look as if nothing had happened. What was typed stays.
import { csrfToken } from "./csrf.js";

const isPoll = (element) => element.getAttribute("hx-trigger")?.startsWith("every");
let signedOut = false;

function notice(sentence, kind) {
  const box = document.createElement("div");
  box.className = kind;
  box.dataset.trouble = "";
  box.setAttribute("role", "alert");
  box.append(Object.assign(document.createElement("div"), { textContent: sentence }));
  return box;
}

const clear = (root) => root.querySelector("[data-trouble]")?.remove();

function tellInPanel(dialog, sentence) {
  clear(dialog);
  const box = notice(sentence, "notice error field");
  (dialog.querySelector(".panel-body, .dialog-body") ?? dialog).prepend(box);
  box.scrollIntoView({ block: "nearest" });
}

function tellOnPage(sentence) {
  const region = document.querySelector(".messages");
  clear(region);
  const box = notice(sentence, "message error");
  if (signedOut) {
    const link = Object.assign(document.createElement("a"), { textContent: "Sign in" });
    link.href = `/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
    box.firstChild.append(" ", link);
  }
  region.append(box);
}

function refusal(status) {
  if (status === 401 || (status === 403 && !csrfToken()))
    return "Nothing was saved: you are signed out. Sign in again in another tab, then try again here.";
  if (status === 403) return "Nothing was saved: you may not do this. Ask an admin of the project for the role it needs.";
  if (status) return `The portal could not answer (error ${status}). See whether it was saved before you try again.`;
  return "The portal could not be reached. See whether it was saved before you try again.";
}

function silence(status) {
  if (status === 401) return "You are signed out: this page does not follow any more.";
  if (status === 403 || status === 404) return "This cannot be shown: it is gone, or you may not see it. Reload the page.";
  return "The portal does not answer: this page may be out of date. It tries again.";
}

for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, (event) => {
    const { elt, requestConfig, xhr } = event.detail;
    const dialog = elt.closest?.("dialog[data-panel]");
    if (xhr.status === 401) signedOut = true;
    if (dialog && requestConfig.verb === "post") tellInPanel(dialog, refusal(xhr.status));
    else tellOnPage(silence(xhr.status));
  });
}

// Rows that are followed stop asking once somebody is signed out, and what was said is over with the next answer.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (signedOut && isPoll(event.detail.elt)) event.preventDefault();
});

document.addEventListener("htmx:afterOnLoad", (event) => {
  if (!event.detail.successful && event.detail.xhr.status !== 422) return;
  signedOut = false;
  clear(document.querySelector(".messages"));
});
