"use strict";

// Looks once a second how the runs of a page are doing, and reloads the page when all of them are finished, or when one
// was paused or continued: its buttons change. While all of them are paused it looks now and then.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector("[data-progress-url]");
  if (!box) return;
  let misses = 0;
  let pause = 1000;

  const text = (card, name, value) => {
    const place = card.querySelector(`[data-show="${name}"]`);
    if (place && place.textContent !== value) place.textContent = value;
  };

  const show = (run) => {
    const card = document.querySelector(`[data-run="${run.id}"]`);
    if (!card) return;
    const badge = card.querySelector("[data-show=label]");
    badge.textContent = run.label;
    badge.className = `im-badge im-${run.tone}`;
    const result = run.error || run.result;
    text(card, "result", result.charAt(0).toUpperCase() + result.slice(1));
    text(card, "took", run.took);
    text(card, "pages", run.pages ? `${run.pages} page${run.pages === 1 ? "" : "s"}` : "");
    const isMeasured = run.percent !== null;
    text(card, "percent", run.percent_words);
    text(card, "progress", run.progress.charAt(0).toUpperCase() + run.progress.slice(1));
    const meter = card.querySelector(".im-meter");
    if (!meter) return;
    meter.hidden = run.finished;
    meter.classList.toggle("im-moving", !isMeasured && run.state === "running");
    if (isMeasured) {
      meter.setAttribute("aria-valuenow", run.percent);
      meter.firstElementChild.style.width = `${run.percent}%`;
    } else {
      meter.removeAttribute("aria-valuenow");
    }
  };

  const look = async () => {
    try {
      const answer = await fetch(box.dataset.progressUrl, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const progress = await answer.json();
      misses = 0;
      progress.runs.forEach(show);
      const hint = document.getElementById("worker-hint");
      if (hint) hint.hidden = progress.workers > 0;
      const hasTurned = (run) => {
        const card = document.querySelector(`[data-run="${run.id}"]`);
        return card && (card.dataset.state === "paused") !== (run.state === "paused");
      };
      pause = progress.runs.every((run) => run.state === "paused") ? 5000 : 1000;
      if (progress.done || progress.runs.some(hasTurned)) {
        window.location.reload();
        return;
      }
    } catch {
      misses += 1;
    }
    if (misses < 30) window.setTimeout(look, pause);
  };
  window.setTimeout(look, 1000);
});
