"use strict";
const root = document.documentElement;
root.classList.add("js");
const say = (text) => { document.getElementById("status").textContent = text; };

// The theme, light or dark, follows the system until the button is pressed.
const theme = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const remembered = { // pages at file: addresses may have no storage
  get() { try { return localStorage.getItem("segbench-theme"); } catch { return null; } },
  set(value) { try { localStorage.setItem("segbench-theme", value); } catch { /* not stored */ } },
};
const isDark = () => (root.dataset.theme ?? (systemDark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
if (remembered.get()) root.dataset.theme = remembered.get();
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered.set(root.dataset.theme);
  nameTheme();
});
systemDark.addEventListener("change", nameTheme);
theme.hidden = false;
nameTheme();

// Sorting: each column head is a button; rows without a value are always last.
const key = (row, column) => row.cells[column].dataset.value;
function compare(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  const order = numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] - numbers[1];
  return sign * order;
}
function sort(table, head) {
  const heads = [...head.parentElement.cells];
  const column = heads.indexOf(head);
  const usual = head.dataset.first === "low" ? "ascending" : "descending";
  const turned = usual === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === usual ? turned : usual;
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(key(one, column), key(other, column), sign));
  table.tBodies[0].append(...rows);
  for (const each of heads) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  table.dispatchEvent(new Event("rows"));
  say(`Sorted by ${head.textContent.trim()}, ${order}`);
}
for (const table of document.querySelectorAll("table.entries")) {
  for (const head of table.tHead.rows[table.tHead.rows.length - 1].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}

// Filter of the pairs by entry; if there are many, the best entry's pairs are shown first.
for (const block of document.querySelectorAll(".pairs")) {
  const select = block.querySelector("select");
  const pairs = [...block.querySelectorAll("[data-pair]")];
  const sentences = pairs.filter((pair) => pair.tagName === "LI");
  const show = () => {
    for (const pair of pairs) {
      pair.hidden = select.value !== "" && !pair.dataset.pair.split(" ").includes(select.value);
    }
    return sentences.filter((pair) => !pair.hidden).length;
  };
  if (sentences.length > 10) select.value = "0";
  show();
  select.addEventListener("change", () => {
    say(`${show()} pairs shown`);
    block.querySelector("table").dispatchEvent(new Event("rows"));
  });
  block.querySelector(".filter").hidden = false;
}

// Long tables: a filter, and pages of 50 rows; on paper, and without scripts, they are whole.
const PAGE = 50; // rows
for (const table of document.querySelectorAll("table:not(.grid)")) {
  const rows = () => [...(table.tBodies[0]?.rows ?? [])];
  if (rows().length <= PAGE) continue;
  const bar = document.createElement("p");
  const label = document.createElement("label");
  const search = document.createElement("input");
  const where = document.createElement("span");
  const [previous, next] = ["Previous", "Next"].map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    return button;
  });
  bar.className = "filter";
  search.type = "search";
  label.append("Rows with ", search);
  bar.append(label, " ", previous, " ", where, " ", next);
  let page = 0;
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const all = rows();
    const found = all.filter((row) => !row.hidden && row.textContent.toLowerCase().includes(wanted));
    page = Math.max(0, Math.min(page, Math.ceil(found.length / PAGE) - 1));
    const shown = new Set(found.slice(page * PAGE, (page + 1) * PAGE));
    for (const row of all) row.classList.toggle("off", !shown.has(row));
    previous.disabled = page === 0;
    next.disabled = (page + 1) * PAGE >= found.length;
    const first = found.length ? page * PAGE + 1 : 0;
    where.textContent = `${first} to ${page * PAGE + shown.size} of ${found.length}`;
  };
  const turn = (to) => { page = to; show(); say(`Rows ${where.textContent}`); };
  search.addEventListener("input", () => turn(0));
  previous.addEventListener("click", () => turn(page - 1));
  next.addEventListener("click", () => turn(page + 1));
  table.addEventListener("rows", () => { page = 0; show(); });
  (table.closest(".scroll") ?? table).before(bar);
  show();
}

// Image by image: two entries' scores, the images that they disagree on most first, a search, and
// the predictions of both on the chosen image, on both sides of a boundary.
const SHOWN = 12; // rows
for (const block of document.querySelectorAll(".images")) {
  const data = JSON.parse(block.querySelector("script").textContent);
  const names = [...data.entries, "truth"];
  const [left, right] = ["left", "right"].map((side) => block.querySelector(`select.${side}`));
  for (const select of [left, right]) {
    select.append(...names.map((name, place) => new Option(name, place)));
  }
  right.value = Math.min(1, names.length - 1);
  const search = block.querySelector("input[type=search]");
  const range = block.querySelector("input[type=range]");
  const [body, caption] = ["tbody", "caption"].map((tag) => block.querySelector(tag));
  const heads = block.querySelectorAll("th[scope=col]");
  let chosen = null;
  const of = (image, select) => data.images[image][1][select.value] ?? null;
  const gap = (image) => {
    const [one, other] = [of(image, left), of(image, right)];
    if (one !== null && other !== null) return Math.abs(one - other);
    const known = one ?? other;
    const alone = Number(left.value) >= data.entries.length || Number(right.value) >= data.entries.length;
    return known === null || !alone ? -Infinity : known * (data.lower ? 1 : -1);
  };
  const cell = (text) => {
    const made = document.createElement("td");
    made.className = "number";
    made.textContent = text ?? "–";
    return made;
  };
  function look(image) {
    chosen = image;
    const picture = data.pictures[image];
    block.querySelector(".slider").hidden = !picture;
    for (const button of body.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.dataset.image === String(image));
    }
    if (!picture) return;
    const told = [left, right].map((select) => names[select.value]);
    block.querySelector(".slider figcaption").textContent =
      `${data.images[image][0]}. Left: ${told[0]}, right: ${told[1]}`;
    const [whole, ...sides] = block.querySelectorAll(".stack img");
    whole.src = picture.image;
    whole.alt = data.images[image][0];
    [left, right].forEach((select, place) => {
      const mask = picture.masks[select.value];
      sides[place].hidden = !mask;
      if (mask) sides[place].src = mask;
      sides[place].alt = `${told[place]}, ${mask ? "its mask" : "no picture"}`;
    });
  }
  function list() {
    const wanted = search.value.trim().toLowerCase();
    const found = data.images.map((_, image) => image)
      .filter((image) => data.images[image][0].toLowerCase().includes(wanted));
    const gaps = new Map(found.map((image) => [image, gap(image)]));
    found.sort((one, other) => gaps.get(other) - gaps.get(one) || one - other);
    [left, right].forEach((select, place) => { heads[place + 1].textContent = names[select.value]; });
    body.replaceChildren(...found.slice(0, SHOWN).map((image) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      const button = document.createElement("button");
      head.scope = "row";
      button.type = "button";
      button.dataset.image = image;
      button.textContent = data.images[image][0];
      button.addEventListener("click", () => look(image));
      head.append(button);
      const [one, other] = [of(image, left), of(image, right)];
      const apart = one === null || other === null ? null : (one - other).toFixed(4);
      row.append(head, cell(one), cell(other), cell(apart));
      return row;
    }));
    const total = data.images.length + data.left;
    const among = wanted ? ` found among ${data.images.length}` : "";
    const rest = data.left ? `; of all ${total} those with most disagreement are here` : "";
    caption.textContent = `${Math.min(SHOWN, found.length)} of ${found.length} images${among}${rest}`;
    look(found.includes(chosen) ? chosen : found[0] ?? null);
    return found.length;
  }
  const move = () => block.querySelector(".stack").style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", move);
  search.addEventListener("input", () => say(`${list()} images found`));
  for (const select of [left, right]) {
    select.addEventListener("change", () => { chosen = null; list(); say("Sorted by disagreement"); });
  }
  move();
  list();
  block.hidden = false;
}

// Entries: a URL fragment opens the dialog that contains its target.
let opener = null; // the link to which the focus returns when the dialog is closed
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && !link.closest("dialog")) opener = link;
});
const target = () => document.getElementById(decodeURIComponent(location.hash.slice(1)));
function follow() {
  const goal = target();
  const wanted = goal?.closest("dialog");
  const open = document.querySelector("dialog[open]");
  if (open && open !== wanted) {
    open.dataset.replaced = "";
    open.close();
  }
  if (!wanted) return;
  if (open !== wanted) wanted.showModal();
  wanted.scrollTop = 0;
  (goal === wanted ? wanted.querySelector("h3") : goal).focus();
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if ("replaced" in dialog.dataset) { delete dialog.dataset.replaced; return; }
    history.replaceState(null, "", location.pathname + location.search);
    const link = document.querySelector(`.entries a[href="#${CSS.escape(dialog.id)}"]`);
    (opener ?? link)?.focus({ preventScroll: true });
    opener = null;
  });
}
addEventListener("hashchange", follow);
follow();

// A click on a row opens its entry.
for (const table of document.querySelectorAll("table.entries")) {
  table.tBodies[0].addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    event.target.closest("tr").querySelector("a").click();
  });
}
