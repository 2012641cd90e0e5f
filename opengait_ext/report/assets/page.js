"use strict";
(() => {
  const PAGE = 20;
  const FIELDS = { path: 0, pid: 1, camera: 2, modality: 3, frames: 4 };
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const tracklet = (place, field) => data.tracklets[place][FIELDS[field]];
  const state = { page: 0, lists: [] };

  // Text goes into the page as text, never as markup.
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const byText = (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });

  const choices = (select, values, all) => {
    const chosen = select.value;
    select.replaceChildren();
    const entries = values.map((value) => [value, value]);
    for (const [value, name] of all ? [["", all], ...entries] : entries) {
      const option = make("option", "", String(name).replaceAll("_", " "));
      option.value = value;
      select.append(option);
    }
    select.value = values.map(String).includes(chosen) ? chosen : select.options[0].value;
  };

  const picture = (place, kind) => {
    const box = make("div", `shot ${kind}`);
    const path = tracklet(place, "path");
    const content = data.pictures[place];
    const image = content ? make("img") : make("span", "empty", "no picture");
    if (content) {
      image.src = `data:image/jpeg;base64,${content}`;
      image.alt = `tracklet ${path}`;
    }
    const where = `camera ${tracklet(place, "camera")}, ${tracklet(place, "frames")} frames`;
    box.title = `${path}, ${where}`;
    box.append(image);
    if (data.maps[place]) {
      const gait = make("img", "gait");
      gait.src = `data:image/jpeg;base64,${data.maps[place]}`;
      gait.alt = `silhouette and gait map of ${path}`;
      box.append(gait);
    }
    return box;
  };

  const percent = (share) => (share === null ? "none" : `${(100 * share).toFixed(1)} %`);

  const row = (line) => {
    const [query, precision, , first, matches, nearest, distances] = line;
    const pid = tracklet(query, "pid");
    const item = make("li", "row");
    item.tabIndex = -1;
    const found = first === null ? "no match in the gallery" : `first match at rank ${first}`;
    const path = tracklet(query, "path");
    item.setAttribute("aria-label", `query ${path}, AP ${percent(precision)}, ${found}`);
    const head = make("div", "query");
    const facts = make("p");
    facts.append(
      make("strong", "", path), make("br"),
      `identity ${pid}, camera ${tracklet(query, "camera")}`, make("br"),
      `${tracklet(query, "frames")} frames`, make("br"),
      `AP ${percent(precision)}`, make("br"), `${found}, ${matches} to find`,
    );
    head.append(picture(query, "asked"), facts);
    const list = make("div", "nearest");
    nearest.forEach((place, rank) => {
      const same = tracklet(place, "pid") === pid;
      const shot = picture(place, same ? "match" : "other");
      const name = make("span");
      name.append(make("span", "sign", same ? "✓" : "✗"), ` ${rank + 1}. ${tracklet(place, "pid")}`);
      shot.append(name, make("span", "", distances[rank].toPrecision(4)));
      shot.setAttribute("role", "img");
      shot.setAttribute("aria-label", `rank ${rank + 1}: ${same ? "same identity" : "another identity"}, ` +
        `${tracklet(place, "path")}, distance ${distances[rank].toPrecision(4)}`);
      list.append(shot);
    });
    item.append(head, list);
    return item;
  };

  const score = (line) => (line[1] === null ? -1 : line[1]);
  const orders = {
    worst: (a, b) => score(a) - score(b) || byText(tracklet(a[0], "path"), tracklet(b[0], "path")),
    best: (a, b) => score(b) - score(a) || byText(tracklet(a[0], "path"), tracklet(b[0], "path")),
    path: (a, b) => byText(tracklet(a[0], "path"), tracklet(b[0], "path")),
  };

  const select = () => {
    const camera = at("camera").value;
    const identity = at("identity").value.trim();
    state.lists = data.lists[at("direction").value]
      .filter((line) => !camera || String(tracklet(line[0], "camera")) === camera)
      .filter((line) => !identity || tracklet(line[0], "pid") === identity)
      .filter((line) => !at("wrong").checked || line[3] !== 1)
      .sort(orders[at("order").value]);
    state.page = 0;
    show();
  };

  const show = (focus) => {
    const total = state.lists.length;
    const pages = Math.max(1, Math.ceil(total / PAGE));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const start = state.page * PAGE;
    const lines = state.lists.slice(start, start + PAGE);
    const rows = at("rows");
    rows.replaceChildren(...lines.map(row));
    rows.setAttribute("start", start + 1);
    if (rows.firstChild) rows.firstChild.tabIndex = 0;
    at("count").textContent = total
      ? `${start + 1} to ${start + lines.length} of ${total} queries, page ${state.page + 1} of ${pages}`
      : "no query is left by these filters";
    at("previous").disabled = state.page === 0;
    at("next").disabled = state.page === pages - 1;
    if (focus && rows.children.length) reach(focus === "last" ? rows.lastChild : rows.firstChild);
  };

  const reach = (item) => {
    for (const other of at("rows").children) other.tabIndex = other === item ? 0 : -1;
    item.focus();
    item.scrollIntoView({ block: "nearest" });
  };

  const turn = (step, focus) => {
    const before = state.page;
    state.page += step;
    show(focus);
    return state.page !== before;
  };

  at("rows").addEventListener("keydown", (event) => {
    const item = event.target.closest(".row");
    if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
    const rows = at("rows");
    const more = (state.page + 1) * PAGE < state.lists.length;
    const act = {
      ArrowDown: () => (item.nextSibling ? reach(item.nextSibling) : more && turn(1, "first")),
      ArrowUp: () => (item.previousSibling ? reach(item.previousSibling) : state.page && turn(-1, "last")),
      Home: () => reach(rows.firstChild),
      End: () => reach(rows.lastChild),
      PageDown: () => turn(1, "first"),
      PageUp: () => turn(-1, "first"),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  const filters = () => {
    const lines = data.lists[at("direction").value];
    const values = (field) => [...new Set(lines.map((line) => tracklet(line[0], field)))].sort(byText);
    choices(at("camera"), values("camera"), "all");
    at("identities").replaceChildren(...values("pid").map((pid) => {
      const option = make("option");
      option.value = pid;
      return option;
    }));
  };

  choices(at("direction"), Object.keys(data.lists), "");
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("input", (event) => {
    if (event.target.id === "direction") filters();
    select();
  });
  at("previous").addEventListener("click", () => turn(-1));
  at("next").addEventListener("click", () => turn(1));
  filters();
  select();

  const points = [...document.querySelectorAll(".point")];
  const color = () => {
    const kind = at("color").value;
    const key = (point) => (kind === "identity" ? point.dataset.pid : point.dataset.camera);
    const names = [...new Set(points.map(key))].sort(byText);
    const bring = at("bring").value;
    for (const point of points) {
      // Steps of the golden angle: neighbors in the list stand far apart on the color wheel.
      const hue = Math.round(names.indexOf(key(point)) * 137.5) % 360;
      point.style.fill = kind === "modality" ? "" : `hsl(${hue} 65% 52%)`;
      point.classList.toggle("faint", bring !== "" && point.dataset.pid !== bring);
    }
  };
  at("color").addEventListener("input", color);
  at("bring").addEventListener("input", color);

  const themes = { auto: "as the system", light: "light", dark: "dark" };
  const paint = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    at("theme").textContent = theme;
    at("theme").setAttribute("aria-label", `Colors: ${themes[theme]}`);
  };
  let theme = "auto";
  try {
    theme = localStorage.getItem("theme") || "auto";
  } catch {
    // Without storage the choice lasts until the page is closed.
  }
  paint(theme in themes ? theme : "auto");
  at("theme").addEventListener("click", () => {
    const names = Object.keys(themes);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    paint(theme);
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // As above.
    }
  });
})();
