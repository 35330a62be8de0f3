"use strict";

// Only the locations of the chosen warehouse can be chosen; a set of them only where the stock comes from a set.
document.addEventListener("DOMContentLoaded", () => {
  const warehouse = document.getElementById("id_warehouse");
  const location = document.getElementById("id_location");
  const stockFrom = document.getElementById("id_stock_from");
  if (!warehouse || !location || !stockFrom) return;
  const boxes = document.querySelectorAll("input[name=stock_locations]");
  const set = boxes.length ? boxes[0].closest(".im-field") : null;
  const fits = (option) => !option.dataset.warehouse || option.dataset.warehouse === warehouse.value;
  const narrow = () => {
    for (const option of location.options) {
      option.hidden = option.disabled = !fits(option);
      if (!fits(option) && option.selected) location.value = "";
    }
    for (const box of boxes) {
      box.closest("label").hidden = !fits(box);
      if (!fits(box)) box.checked = false;
    }
    if (set) set.hidden = stockFrom.value !== "set";
  };
  warehouse.addEventListener("change", narrow);
  stockFrom.addEventListener("change", narrow);
  narrow();
});
