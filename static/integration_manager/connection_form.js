"use strict";

// Only the locations of the chosen warehouse can be chosen.
document.addEventListener("DOMContentLoaded", () => {
  const warehouse = document.getElementById("id_warehouse");
  const location = document.getElementById("id_location");
  if (!warehouse || !location) return;
  const narrow = () => {
    for (const option of location.options) {
      const fits = !option.dataset.warehouse || option.dataset.warehouse === warehouse.value;
      option.hidden = option.disabled = !fits;
      if (!fits && option.selected) location.value = "";
    }
  };
  warehouse.addEventListener("change", narrow);
  narrow();
});
