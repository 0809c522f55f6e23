// Train, Models and Run a model: what a browser does at once, without asking the server.
(() => {
  "use strict";

  // The slider: objects below it vanish, and every count follows.
  function filter(root) {
    const slider = document.querySelector("[data-least]");
    if (!slider) return;
    const least = Number(slider.value);
    let all = 0;
    for (const one of root.querySelectorAll("[data-score]")) {
      const below = Number(one.dataset.score) < least - 1e-9;
      if (one.hasAttribute("hidden") !== below) one.toggleAttribute("hidden", below);
    }
    for (const frame of document.querySelectorAll(".look-frame")) {
      const count = frame.querySelectorAll("g[data-score]:not([hidden])").length;
      all += count;
      for (const shown of frame.querySelectorAll("[data-above]")) shown.textContent = count;
      for (const value of frame.querySelectorAll("[data-least-value]")) value.value = least.toFixed(2);
      for (const button of frame.querySelectorAll("[data-take-all]")) button.disabled = count === 0;
    }
    for (const shown of document.querySelectorAll("[data-above-all]")) {
      shown.textContent = `${all} objects on the frames shown are above it.`;
    }
    for (const link of document.querySelectorAll("[data-keeps-least]")) {
      const to = new URL(link.href);
      to.searchParams.set("threshold", least.toFixed(2));
      link.href = to.href;
    }
  }
  document.addEventListener("input", event => {
    if (event.target.matches("[data-least]")) filter(document);
  });

  // A click on an object takes it, as its button in the list does.
  document.addEventListener("click", event => {
    const object = event.target.closest("g[data-candidate]");
    if (!object) return;
    const frame = object.closest(".look-frame");
    const button = frame.querySelector(`button[value="${object.dataset.candidate}"]`);
    if (button) button.click();
  });

  // A choice of model or task is looked at at once.
  document.addEventListener("change", event => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  // Files may be dropped; one that is too large is refused before a byte is sent.
  const gb = bytes => (bytes / 1e9).toFixed(1);
  function tooLarge(form) {
    const most = Number(form.dataset.most), fault = form.querySelector("[data-drop-fault]");
    const size = [...form.querySelectorAll("input[type=file]")].reduce((sum, one) => sum + [...one.files].reduce((n, file) => n + file.size, 0), 0);
    fault.hidden = size <= most;
    fault.textContent = fault.hidden ? "" : `A file of at most ${gb(most)} GB is taken, and this one has ${gb(size)} GB. Export the weights alone, without the state of the optimizer.`;
    return !fault.hidden;
  }
  for (const form of document.querySelectorAll("[data-drop]")) {
    const over = on => event => { event.preventDefault(); form.classList.toggle("over", on); };
    form.addEventListener("dragover", over(true));
    form.addEventListener("dragleave", over(false));
    form.addEventListener("drop", event => {
      over(false)(event);
      for (const file of event.dataTransfer.files) {
        const list = /\.(txt|names|ya?ml|json)$/i.test(file.name);
        const one = new DataTransfer();
        one.items.add(file);
        form.querySelector(`input[name=${list ? "labels" : "weights"}]`).files = one.files;
      }
      tooLarge(form);
    });
    form.addEventListener("change", () => tooLarge(form));
    form.addEventListener("submit", event => { if (tooLarge(form)) { event.preventDefault(); event.stopPropagation(); } });
  }

  const start = () => filter(document);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
  document.addEventListener("htmx:after:swap", start);
})();
