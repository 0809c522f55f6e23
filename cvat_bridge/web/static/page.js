// What the page does beyond links and forms; without it everything can still be read and sent.
(() => {
  "use strict";
  const zone = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});

  function dress(root) {
    // Times in the reader's zone; the server writes them in UTC.
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      const moment = new Date(time.dateTime);
      if (isNaN(moment)) continue;
      time.title = time.textContent;
      time.textContent = zone.format(moment);
    }
    for (const button of root.querySelectorAll("[data-more]")) {
      const list = button.closest("section").querySelector(".thumbs");
      list.classList.add("folded");
      button.hidden = false;
      button.onclick = () => { list.classList.remove("folded"); button.hidden = true; };
    }
    for (const box of root.querySelectorAll("[data-all]")) {
      const boxes = () => box.form.querySelectorAll(`input[name="${box.dataset.all}"]`);
      box.onchange = () => boxes().forEach(one => { one.checked = box.checked; });
    }
    for (const slider of root.querySelectorAll("input[type=range][data-shows]")) {
      const shown = document.getElementById(slider.dataset.shows);
      slider.addEventListener("input", () => { shown.textContent = Number(slider.value).toFixed(2); });
    }
    for (const needless of root.querySelectorAll("[data-noscript]")) needless.hidden = true;
  }

  // A form that was sent is not sent again by a second press.
  document.addEventListener("submit", event => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-busy");
    }
  });

  // Keys: 1, 2 … choose a screen, as the tabs stand.
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const tab = document.querySelectorAll(".tabs a")[Number(event.key) - 1];
    if (event.key >= "1" && event.key <= "9" && tab) tab.click();
  });

  document.documentElement.classList.add("script");
  dress(document);
  document.addEventListener("htmx:after:swap", () => dress(document));
})();
