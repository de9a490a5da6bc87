// Panels and dialogs: <dialog data-panel data-close="URL">, opened by htmx into #overlay or rendered by their own page.
// A panel that was opened over a page puts its address into the bar; closing it or going back brings the page's back.

const overlay = () => document.getElementById("overlay");
const openDialog = () => document.querySelector("dialog[data-panel][open]");

function show(dialog, opener) {
  if (dialog.open) dialog.close();
  dialog.showModal();
  if (!goToInvalid(dialog)) goToStart(dialog);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave(dialog);
  });
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog && isOutside(dialog, event) && !dialog.querySelector(".secret")) leave(dialog);
  });
  if (opener) dialog.opener = opener;
}

// The first field that was refused: what stands in for it when it is hidden, else the first control beside the message.
function goToInvalid(dialog) {
  const field = dialog.querySelector(".errorlist")?.closest(".field");
  const shown = (selector) => [...(field?.querySelectorAll(selector) ?? [])].find((one) => one.checkVisibility());
  const control = shown("[aria-invalid='true']:not(fieldset)") ?? shown("input, select, textarea, button");
  control?.focus();
  field?.scrollIntoView({ block: "center" });
  return Boolean(control);
}

// What a button of the panel has found out is read first; else the first field.
function goToStart(dialog) {
  const result = dialog.querySelector("[role=status][autofocus]");
  (result ?? dialog.querySelector("[autofocus], [data-first]"))?.focus();
  result?.scrollIntoView({ block: "nearest" });
}

function isOutside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

// A panel on a page of its own goes to the page that it belongs to; one over a page goes back to that.
function leave(dialog) {
  if (history.state?.panel) history.back();
  else window.location.assign(dialog.dataset.close);
}

function remove(dialog) {
  dialog.close();
  dialog.remove();
  delete overlay().dataset.over;
  document.getElementById(overlay().dataset.opener ?? "")?.focus();
}

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close-panel]");
  const dialog = closer?.closest("dialog[data-panel]");
  if (!dialog) return;
  event.preventDefault();
  leave(dialog);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target?.id !== "overlay" || event.detail.elt.closest("#overlay")) return;
  const menu = event.detail.elt.closest("details.menu");
  overlay().dataset.opener = (menu?.querySelector("summary[id]") ?? event.detail.elt).id; // a closed menu hides its links
  menu?.removeAttribute("open");
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id !== "overlay") return;
  const dialog = overlay().querySelector("dialog[data-panel]");
  if (!dialog) return;
  const again = event.detail.requestConfig.verb === "post";
  dialog.classList.toggle("settled", again);
  show(dialog);
  // What a form has answered may have changed the page beneath, or there is none: closing the panel loads that anew.
  if (again) {
    delete overlay().dataset.over;
    return;
  }
  overlay().dataset.over = "page";
  const address = event.detail.pathInfo.finalRequestPath;
  if (history.state?.panel) history.replaceState({ panel: true }, "", address);
  else history.pushState({ panel: true }, "", address);
});

// Only now its lists and calendars stand, which take the focus in place of plain fields.
document.addEventListener("htmx:afterSettle", (event) => {
  const dialog = event.detail.target?.id === "overlay" && openDialog();
  if (dialog) goToInvalid(dialog);
});

// A preview that was unfolded stays so when what will be sent is drawn anew, with an error in between, too.
document.addEventListener("htmx:beforeSwap", (event) => {
  const details = event.detail.target?.id === "sent" && event.detail.target.querySelector("details");
  if (details) event.detail.target.dataset.unfolded = details.open ? "yes" : "";
});
document.addEventListener("htmx:afterSwap", (event) => {
  const details = event.detail.target?.id === "sent" && event.detail.target.querySelector("details");
  if (details && event.detail.target.dataset.unfolded) details.open = true;
});

// Back closes a panel, Forward opens it again. Behind one that was reloaded or has sent a form no page is up to date.
window.addEventListener("popstate", (event) => {
  const dialog = openDialog();
  if (event.state?.panel) {
    if (!dialog) htmx.ajax("GET", location.pathname + location.search, "#overlay");
  } else if (dialog) {
    if (overlay().dataset.over) remove(dialog);
    else location.reload();
  }
});

for (const dialog of document.querySelectorAll("dialog[data-panel][open]")) {
  dialog.closest(".panel-page")?.classList.remove("panel-page");
  dialog.classList.add("settled");
  show(dialog);
}
