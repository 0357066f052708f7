"use strict";
for (const film of document.querySelectorAll(".film")) {
  const frames = film.querySelectorAll("img"), slider = film.querySelector("input");
  if (!slider) continue;
  film.querySelector("label").hidden = false;
  slider.addEventListener("input", () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(slider.value); });
    film.querySelector("b").textContent = frames[slider.value].dataset.at;
  });
}
const thumb = document.getElementById("thumb");
for (const map of document.querySelectorAll(".map[data-columns]")) {
  const columns = Number(map.dataset.columns), size = map.dataset.size.split(",").map(Number);
  const tile = map.dataset.tile.split(",").map(Number), sprite = map.querySelector(".sprite");
  const zoom = Math.max(1, Math.min(4, 128 / Math.max(...tile)));
  const show = (event) => {
    const point = event.target.closest("use[data-i]");
    thumb.hidden = !point;
    if (!point) return;
    const i = Number(point.dataset.i), box = point.getBoundingClientRect();
    const [width, height] = tile.map((side) => side * zoom);
    thumb.style.width = `${width + 6}px`;
    thumb.style.height = `${height + 6}px`;
    thumb.style.backgroundImage = `url("${sprite.src}")`;
    thumb.style.backgroundSize = `${size[0] * zoom}px ${size[1] * zoom}px`;
    thumb.style.backgroundPosition =
      `${-(i % columns) * width}px ${-Math.floor(i / columns) * height}px`;
    thumb.style.left = `${Math.min(Math.max(box.left - width / 2, 8), innerWidth - width - 16)}px`;
    thumb.style.top = `${box.top > height + 24 ? box.top - height - 16 : box.bottom + 10}px`;
  };
  map.addEventListener("pointerover", show);
  map.addEventListener("click", show);
  map.addEventListener("pointerleave", () => { thumb.hidden = true; });
}
addEventListener("scroll", () => { thumb.hidden = true; }, { passive: true });
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll(".verdict details, section > details")) part.open = true;
});
