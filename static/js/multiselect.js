// A searchable list of checkboxes: [data-multiselect] holds [data-search], [data-chips] and labels with a checkbox.

function setUp(box) {
  const search = box.querySelector("[data-search]");
  const chips = box.querySelector("[data-chips]");
  const labels = [...box.querySelectorAll("label:has(input[type=checkbox])")];
  const none = box.querySelector("[data-none]");
  box.dataset.ready = "yes";
  search.hidden = false;

  function filter() {
    const words = search.value.trim().toLowerCase();
    let shown = 0;
    for (const label of labels) {
      label.hidden = !label.dataset.name.toLowerCase().includes(words);
      if (!label.hidden) shown += 1;
    }
    none.hidden = shown > 0;
  }

  function drawChips() {
    const chosen = labels.filter((label) => label.querySelector("input").checked);
    chips.replaceChildren(...chosen.map(chip));
    const count = document.querySelector("[data-chosen-count]");
    if (count) count.textContent = chosen.length ? `${chosen.length} chosen` : "you choose";
  }

  function chip(label) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.textContent = `${label.dataset.name} ✕`;
    button.setAttribute("aria-label", `Remove ${label.dataset.name}`);
    button.addEventListener("click", () => {
      const input = label.querySelector("input");
      input.checked = false;
      input.dispatchEvent(new Event("change", { bubbles: true }));
      search.focus();
    });
    return button;
  }

  search.addEventListener("input", filter);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const found = labels.filter((label) => search.value.trim() && !label.hidden);
    const same = found.find((label) => label.dataset.name.toLowerCase() === search.value.trim().toLowerCase());
    const taken = same ?? found[0];
    if (!taken) return;
    if (!taken.querySelector("input").checked) taken.querySelector("input").click();
    search.value = "";
    filter();
  });
  search.addEventListener("change", (event) => event.stopPropagation()); // what is searched for changes nothing that is sent
  box.addEventListener("change", () => {
    drawChips();
    if (chips.firstChild) box.closest(".field").querySelector(".errorlist")?.remove();
  });
  drawChips();
}

const setUpAll = (root) => {
  for (const box of root.querySelectorAll("[data-multiselect]:not([data-ready])")) setUp(box);
};
setUpAll(document);
document.addEventListener("htmx:afterSettle", () => setUpAll(document));
