// Small helps for forms. Each works without them too.

// A select that acts by itself: Items per page.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

// One click, one request.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.matches("[hx-post]")) return;
  const button = event.submitter;
  if (button) setTimeout(() => (button.disabled = true));
});

window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[type=submit][disabled]")) {
    button.disabled = false;
  }
});

// What does nothing without a script is hidden until this one runs; only pages by https may copy.
const helps = navigator.clipboard ? "[data-dismiss], [data-copy]" : "[data-dismiss]";
const unhide = () => document.querySelectorAll(helps).forEach((button) => (button.hidden = false));
unhide();
document.addEventListener("htmx:afterSwap", unhide); // before a panel gives its first control the focus

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".message")?.remove();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.querySelector("[data-copy-label]").textContent = "Copied";
  button.nextElementSibling.textContent = "Copied"; // for screen readers
});

// Screen readers speak of a status region only when it changes: fill it once the page stands.
for (const region of document.querySelectorAll("[data-announce]")) {
  const parts = [...region.childNodes];
  region.replaceChildren();
  setTimeout(() => region.replaceChildren(...parts), 60);
}
