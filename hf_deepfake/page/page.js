// What gradio cannot do: choose images and say so at once, move the map's opacity, choose a face, keep a report in the
// browser, and list what was checked. Nothing here is sent anywhere but to this server's upload.
window.deepfakePage = (() => {
  const HISTORY = "deepfake-history";
  const KEPT = 12;
  const places = {}; // of results: element, and how to set its HTML
  const pickers = {}; // by panel: how to hand over files
  const waiting = {}; // by panel of several images: who waits for the next one's row

  const escaped = (text) => {
    const span = document.createElement("span");
    span.textContent = text;
    return span.innerHTML.replaceAll("{", "&#123;").replaceAll('"', "&quot;");
  };
  const newNumber = () => Math.random().toString(36).slice(2, 12);
  const panelOf = (target) => target?.closest?.(Object.keys(pickers).map((id) => `#${id}`).join(","));
  const pickerOf = (panel) => document.querySelector(`#${panel} .picker`);

  function message(picker, kind, sentence) {
    const sign = kind === "waiting" ? '<span class="spinner" aria-hidden="true"></span>' : "";
    const heading = kind === "waiting" ? "" : `<h2>${escaped(picker.dataset.noVerdict)}</h2>`;
    return `<article class="card ${kind}" data-state="${kind}"><header class="verdict">${sign}<div>${heading}<p>${escaped(sentence)}</p></div></header></article>`;
  }

  function tell(picker, kind, sentence) {
    const names = picker.dataset.shows.split(" ");
    names.forEach((name, index) => places[name]?.set(index === 0 ? message(picker, kind, sentence) : ""));
    if (Number(picker.dataset.most) === 1) say(picker, sentence);
    else if (kind === "failed") answer(picker, fragment(message(picker, kind, sentence)));
  }

  function fragment(html) {
    const box = document.createElement("template");
    box.innerHTML = html;
    return box.content.firstElementChild;
  }

  // Give the row of one of several images to who waits for it.
  function answer(picker, card) {
    const panel = panelOf(picker)?.id;
    waiting[panel]?.(card);
    delete waiting[panel];
  }

  function say(picker, sentence) {
    const live = picker.querySelector(".live");
    if (live.textContent !== sentence) live.textContent = sentence;
  }

  function preview(picker, file) {
    const image = picker.querySelector(".preview");
    const unshown = picker.querySelector(".unshown");
    if (image.src) URL.revokeObjectURL(image.src);
    image.onerror = null;
    image.removeAttribute("src");
    image.hidden = true;
    unshown.hidden = true;
    if (!file) return;
    image.onload = image.onloadeddata = () => { image.hidden = false; };
    image.onerror = () => { unshown.hidden = false; };
    image.src = URL.createObjectURL(file);
  }

  // A panel's picker: what was chosen is uploaded, and its paths are handed over.
  function pick(panel, upload, handOver) {
    pickers[panel] = (files) => {
      const picker = pickerOf(panel);
      const number = newNumber();
      picker.dataset.number = number;
      const most = Number(picker.dataset.most);
      preview(picker, most === 1 && files.length === 1 ? files[0] : null);
      if (files.length > most) return tell(picker, "failed", picker.dataset.tooMany);
      if (most > 1) return several(panel, files, number, upload, handOver);
      return one(picker, files[0], number, upload, handOver);
    };
  }

  async function one(picker, file, number, upload, handOver) {
    if (file.size > Number(picker.dataset.megabytes) * 1e6) return tell(picker, "failed", picker.dataset.tooLarge);
    tell(picker, "waiting", picker.dataset.uploading);
    reveal(picker);
    try {
      const { path } = await upload(file);
      const { language } = picker.dataset;
      if (picker.dataset.number === number) handOver({ paths: [path], language, number });
    } catch {
      if (picker.dataset.number === number) tell(picker, "failed", picker.dataset.failed);
    }
  }

  // One image after the other, so that none is deleted before its turn; each row comes when it is done.
  async function several(panel, files, number, upload, handOver) {
    const picker = pickerOf(panel);
    const table = document.querySelector(`#${panel} .table`);
    const body = table.querySelector("tbody");
    const said = (sentence, counts) => sentence.replace(/\{(\w+)\}/g, (_, name) => counts[name]);
    body.replaceChildren();
    table.hidden = false;
    table.lines = [table.dataset.head];
    for (const [index, file] of files.entries()) {
      const progress = said(table.dataset.progress, { done: index, all: files.length });
      table.querySelector(".progress").textContent = progress;
      say(picker, progress);
      const own = `${number}${index.toString(36)}`;
      picker.dataset.number = own;
      const card = await new Promise((resolve) => {
        waiting[panel] = resolve;
        if (file.size > Number(picker.dataset.megabytes) * 1e6) tell(picker, "failed", picker.dataset.tooLarge);
        else one(picker, file, own, upload, handOver);
      });
      if (picker.dataset.number !== own) return; // others were chosen meanwhile
      const row = card.querySelector("tr")?.cloneNode(true) ?? failedRow(picker, file, card);
      body.append(row);
      const line = card.querySelector(".line")?.textContent;
      table.lines.push(line ?? `"${file.name.replaceAll('"', '""').replace(/^[=+\-@]/, "'$&")}",failed`);
      places[picker.dataset.shows].set("");
    }
    const count = (kind) => body.querySelectorAll(`tr.${kind}`).length;
    const [fake, real, all] = [count("fake"), count("real"), files.length];
    const sum = said(table.dataset.done, { all, fake, real, rest: all - fake - real });
    table.querySelector(".progress").textContent = sum;
    say(picker, sum);
  }

  function failedRow(picker, file, card) {
    const row = document.createElement("tr");
    row.className = "card failed";
    for (const text of [file.name, picker.dataset.noVerdict, "", card.querySelector("p").textContent]) {
      row.append(Object.assign(document.createElement(row.children.length ? "td" : "th"), { textContent: text }));
    }
    row.firstChild.scope = "row";
    return row;
  }

  // On a phone the result stands below the picker, out of sight.
  function reveal(picker) {
    const place = places[picker.dataset.shows.split(" ")[0]]?.element;
    requestAnimationFrame(() => {
      if (!place || place.getBoundingClientRect().top <= window.innerHeight / 2) return;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      place.scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
    });
  }

  function show(name, element, set) {
    places[name] = { element, set };
    setTimeout(() => shown(name)); // a tab is built when it is first opened, and may hold what is old by then
  }

  const pickerFor = (name) =>
    [...document.querySelectorAll(".picker")].find((one) => one.dataset.shows.split(" ").includes(name));

  // After every new content of a place: the verdict on an image that is gone is not shown, and others are said aloud.
  function shown(name) {
    const card = places[name].element.querySelector("[data-number]");
    const picker = pickerFor(name);
    if (!card || !picker) return;
    const first = picker.dataset.shows.split(" ")[0];
    if (picker.dataset.number && card.dataset.number !== picker.dataset.number) {
      const waiting = name === first ? message(picker, "waiting", picker.dataset.uploading) : "";
      if (card.dataset.state === "done") places[name].set(waiting);
      return;
    }
    if (name !== first) return;
    if (Number(picker.dataset.most) > 1) return card.dataset.state === "done" ? answer(picker, card.cloneNode(true)) : undefined;
    say(picker, card.dataset.headline || card.querySelector(".verdict").textContent.replace(/\s+/g, " ").trim());
    if (!card.querySelector("progress")) reveal(picker); // not with every frame of a video
    if (card.dataset.state === "done" && name === "verdict") remember(card);
  }

  // The connection broke, or the server failed without a word.
  function failed(panel) {
    const picker = pickerOf(panel);
    tell(picker, "failed", picker.dataset.failed);
  }

  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  const stem = (card) => card.dataset.name.replace(/\.[^.]*$/, "").replace(/[^\w-]+/g, "-") || "image";

  function asPage(card) {
    const copy = card.cloneNode(true);
    copy.querySelectorAll(".screen-only, .record").forEach((part) => part.remove());
    copy.querySelector("details").open = true;
    copy.querySelectorAll("[data-shows-frame]").forEach((frame) => { frame.hidden = false; });
    copy.querySelectorAll("button").forEach((button) => {
      const still = document.createElement("div");
      still.className = button.className;
      still.append(...button.childNodes);
      button.replaceWith(still);
    });
    const style = document.getElementById("card-style").textContent;
    return (
      `<!doctype html><html lang="${card.lang}"><head><meta charset="utf-8">` +
      `<meta name="viewport" content="width=device-width, initial-scale=1">` +
      `<title>${escaped(`${card.dataset.headline}: ${card.dataset.name}`)}</title><style>${style}</style></head>` +
      `<body class="report"><main><h1>${escaped(document.title)} ${escaped(card.dataset.name)}</h1>${copy.outerHTML}</main></body></html>`
    );
  }

  // What was checked stays in this tab's own store; the oldest go when it is full.
  const history = () => JSON.parse(sessionStorage.getItem(HISTORY) || "[]");

  function remember(card) {
    const { number, name, headline, thumbnail } = card.dataset;
    const entries = history();
    if (!entries.some((entry) => entry.number === number)) {
      entries.unshift({ number, name, headline, thumbnail, kind: card.classList[1], html: card.outerHTML });
    }
    entries.length = Math.min(entries.length, KEPT);
    while (entries.length) {
      try {
        sessionStorage.setItem(HISTORY, JSON.stringify(entries));
        break;
      } catch {
        entries.pop();
      }
    }
    list();
  }

  function list() {
    const section = document.querySelector(".history");
    if (!section) return;
    const entries = history();
    section.hidden = entries.length === 0;
    section.querySelector("ul").innerHTML = entries
      .map(
        (entry) =>
          `<li><button type="button" class="${escaped(entry.kind)}" data-entry="${escaped(entry.number)}"><img src="${escaped(entry.thumbnail)}" alt="" width="40" height="40"><span>${escaped(entry.name)}<br><strong>${escaped(entry.headline)}</strong></span></button></li>`,
      )
      .join("");
  }

  function recall(number) {
    const entry = history().find((one) => one.number === number);
    if (!entry) return;
    const picker = pickerFor("verdict");
    preview(picker, null);
    picker.dataset.number = number;
    places.closer?.set("");
    places.verdict.set(entry.html.replaceAll("{", "&#123;"));
    reveal(picker);
  }

  function choose(card, number) {
    card.querySelectorAll("[data-face]").forEach((part) => {
      const chosen = part.dataset.face === number;
      part.classList.toggle("chosen", chosen);
      if (part.matches("button")) part.setAttribute("aria-pressed", String(chosen));
    });
  }

  // Show one of a video's frames.
  function turnTo(card, index) {
    card.querySelectorAll("[data-frame]").forEach((part) => part.classList.toggle("chosen", part.dataset.frame === index));
    card.querySelectorAll("[data-shows-frame]").forEach((frame) => {
      frame.hidden = frame.dataset.showsFrame !== index;
      if (!frame.hidden) frame.scrollIntoView({ block: "nearest" });
    });
    card.querySelector(`.moments input[value="${index}"]`).checked = true;
  }

  document.addEventListener("click", (event) => {
    const target = event.target;
    const panel = panelOf(target);
    const card = target.closest?.(".card");
    if (target.closest(".choose")) return panel.querySelector(".file").click();
    const example = target.closest(".example img");
    if (example || target.closest(".example")) {
      const image = target.closest(".example").querySelector("img");
      return fetch(image.src)
        .then((answer) => answer.blob())
        .then((blob) => pickers[panel.id]([new File([blob], image.dataset.name, { type: "image/jpeg" })]));
    }
    if (target.closest(".save-page")) return save(`${stem(card)}.html`, "text/html", asPage(card));
    if (target.closest(".save-data")) {
      return save(`${stem(card)}.json`, "application/json", card.querySelector(".record").textContent);
    }
    if (target.closest(".save-table")) {
      return save("verdicts.csv", "text/csv", `\ufeff${target.closest(".table").lines.join("\r\n")}\r\n`);
    }
    const face = card && target.closest("[data-face]");
    if (face) return choose(card, face.dataset.face);
    const frame = card && target.closest("[data-frame]");
    if (frame) return turnTo(card, frame.dataset.frame);
    if (target.closest(".history .clear")) {
      sessionStorage.removeItem(HISTORY);
      return list();
    }
    const entry = target.closest("[data-entry]");
    if (entry) recall(entry.dataset.entry);
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches(".opacity input")) {
      event.target.closest(".card").style.setProperty("--map", event.target.value / 100);
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches(".moments input")) return turnTo(event.target.closest(".card"), event.target.value);
    if (!event.target.matches(".picker .file") || !event.target.files.length) return;
    pickers[panelOf(event.target).id]([...event.target.files]);
    event.target.value = ""; // so that the same file can be chosen again
  });

  document.addEventListener("dragover", (event) => {
    if (event.target.closest?.(".drop")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const panel = panelOf(event.target.closest?.(".drop"));
    if (!panel) return;
    event.preventDefault();
    if (event.dataTransfer.files.length) pickers[panel.id]([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    const panel = Object.keys(pickers).map((id) => document.getElementById(id)).find((one) => one?.offsetParent);
    if (files.length && panel) pickers[panel.id](files);
  });

  return { pick, show, shown, failed, list };
})();
