// Enhancement only: every page works without it.
"use strict";

// Times in the viewer's zone; the exact UTC stays on hover.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    }
  }
}

// A region with data-live is fetched again every two seconds, and replaced when it has changed and nobody is in it.
async function refresh(region) {
  if (document.hidden || region.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(region.id);
  if (!fresh || fresh.dataset.live === region.dataset.live) return;
  const open = new Set([...region.querySelectorAll("details[open]")].map((each) => each.id));
  for (const each of fresh.querySelectorAll("details")) each.open = each.open || open.has(each.id);
  region.replaceChildren(...fresh.childNodes);
  region.dataset.live = fresh.dataset.live;
  localTimes(region);
  const said = document.getElementById("live-status");
  if (said) said.textContent = "The list has changed.";
}

localTimes(document);
for (const region of document.querySelectorAll("[data-live]")) {
  setInterval(() => refresh(region).catch(() => {}), 2000);
}
