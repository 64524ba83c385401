// Pages work without this: times in the viewer's zone, copy buttons, files into text fields, no second press of a button.
"use strict";

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    time.textContent = format.format(new Date(time.dateTime));
    time.dataset.local = "";
  }
  // An axis has no room for more than its own text says.
  for (const tick of root.querySelectorAll("text[data-time]")) {
    const moment = new Date(tick.dataset.time);
    const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (tick.textContent.includes("-")) Object.assign(options, { month: "2-digit", day: "2-digit" });
    tick.textContent = new Intl.DateTimeFormat(undefined, options).format(moment);
    delete tick.dataset.time;
  }
  for (const box of root.querySelectorAll(".copy:not([data-ready])")) {
    box.dataset.ready = "";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    box.append(button);
  }
}

async function copy(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre, code").textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy > button");
  if (button) copy(button);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent !== undefined) { event.preventDefault(); return; }
  if (form.getAttribute("method") === "post") form.dataset.sent = "";
});

// Back to a page that is as it was left.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// <input type=file data-into="id of a field">: what the file says goes into the field, and is sent as if it were typed.
document.addEventListener("change", async (event) => {
  const into = event.target.dataset.into;
  const file = into && event.target.files[0];
  if (file) document.getElementById(into).value = await file.text();
});

document.addEventListener("htmx:afterSettle", () => localise(document));
localise(document);
