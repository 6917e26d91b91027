// The cells of a confusion matrix open their images, worst first.

function thumbnail(place, label) {
  const image = document.createElement("span");
  image.className = "sprite";
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", label);
  if (place[0] < 0) image.textContent = "no image at hand";
  else {
    image.dataset.sheet = place[0];
    image.style.setProperty("--column", place[1] % 10);
    image.style.setProperty("--row", Math.floor(place[1] / 10));
  }
  return image;
}

// The evidence map over a thumbnail; the style of the page holds its pixels.
function evidenceMap(number) {
  const layer = document.createElement("span");
  layer.className = "overlay";
  layer.dataset.map = number;
  layer.setAttribute("role", "img");
  layer.setAttribute("aria-label", "evidence map");
  return layer;
}

function imageCard([path, probability, sheet, cell, map], classes) {
  const card = document.createElement("figure"), caption = document.createElement("figcaption");
  const name = document.createElement("span"), score = document.createElement("span");
  card.className = "card";
  name.className = "path";
  name.textContent = path;
  score.textContent = `${classes[1]} ${probability.toPrecision(4)}`;
  caption.append(name, score);
  card.append(thumbnail([sheet, cell], path));
  if (map >= 0) {
    card.tabIndex = 0;
    card.append(evidenceMap(map));
  }
  card.append(caption);
  return card;
}

for (const button of document.querySelectorAll("button[data-cell]")) {
  button.addEventListener("click", () => {
    const part = PAGE.parts[Number(button.dataset.part)], cell = part.cells[button.dataset.cell];
    const grid = document.createElement("div"), text = document.createElement("p");
    grid.className = "cards";
    grid.append(...cell.images.map(image => imageCard(image, PAGE.classes)));
    text.className = "muted";
    text.textContent = cell.text;
    document.querySelector("page-dialog").show(cell.title, text, grid);
  });
}
