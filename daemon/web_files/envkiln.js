// Makes the pages live. Text goes in as text only: nothing that a definition or a log says becomes markup.
"use strict";

const MARKS = { ready: "+", building: "*", queued: ".", invalid: "x", failed: "x", named: "-" };
const page = document.body.dataset.page;
const live = document.getElementById("live");
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
document.documentElement.classList.add("js");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function age(seconds) {
  const steps = [[60, 1, "s"], [3600, 60, "m"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
  const past = Math.max(0, seconds);
  const [, unit, name] = steps.find(([limit]) => past < limit);
  return Math.floor(past / unit) + name;
}

function link(id) {
  return "/environments/" + id.split("/").map(encodeURIComponent).join("/");
}

setInterval(() => {
  for (const cell of all("[data-since]")) cell.textContent = age(Date.now() / 1000 - Number(cell.dataset.since));
}, 1000);

// Events

function follow(handlers) {
  const source = new EventSource("/v1/events");
  source.onopen = () => { live.textContent = "live"; live.className = "good"; };
  source.onerror = () => { live.textContent = "the service does not answer; trying again"; live.className = "bad"; };
  for (const [kind, handle] of Object.entries(handlers)) {
    source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  }
}

function showService(service) {
  const engine = document.getElementById("engine");
  const said = service.engine.connected
    ? service.engine.description : "engine away: " + (service.engine.problem || "not asked yet");
  engine.textContent = said + (service.paused ? "; paused" : "");
  engine.className = service.engine.connected ? "good" : "bad";
}

// The list

const list = one("#list tbody");
const states = new Map();

function rowOf(id) {
  return all("tr", list).find((row) => row.dataset.id === id);
}

function fill(row, view) {
  const focused = row.contains(document.activeElement);
  row.dataset.state = view.state;
  row.dataset.build = view.build || "";
  row.replaceChildren(
    element("td", { className: "state " + view.state },
      element("span", { textContent: MARKS[view.state] || "?", ariaHidden: "true" }), " " + view.state),
    element("th", { scope: "row" }, element("a", { href: link(view.environment), textContent: view.environment })),
    element("td", { className: "image", textContent: (view.image || "").slice(-32).slice(0, 12) }),
    element("td", { className: "age", textContent: age(Date.now() / 1000 - view.since) }),
    element("td", { className: "why", textContent: view.reason }),
  );
  one(".age", row).dataset.since = view.since;
  if (focused) one("a", row).focus();
}

function showEnvironment(view) {
  states.set(view.environment, view.state);
  let row = rowOf(view.environment);
  if (!row) {
    row = element("tr", { className: "new" });
    row.dataset.id = view.environment;
    const next = all("tr", list).find((other) => other.dataset.id > view.environment);
    list.insertBefore(row, next || null);
  }
  fill(row, view);
}

function fits(row) {
  const wanted = document.getElementById("text").value.toLowerCase();
  const chosen = new URLSearchParams(location.search).getAll("state");
  return (!chosen.length || chosen.includes(row.dataset.state)) && row.textContent.toLowerCase().includes(wanted);
}

function filter() {
  let shown = 0;
  for (const row of all("tr", list)) {
    row.hidden = !fits(row);
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("none").hidden = shown > 0;
  if (isPart()) return;
  const fitting = document.getElementById("text").value || location.search.includes("state=") ? " that fit" + (shown === 1 ? "s" : "") : "";
  one("#list caption").textContent = `${shown} environment${shown === 1 ? "" : "s"}${fitting}`;
}

// A very long list comes in pages: what is typed is looked for by the service, in all of it.
function isPart() {
  return document.getElementById("more") !== null || location.search.includes("after=");
}

let asking = 0;
async function ask() {
  const turn = ++asking;
  const query = new URLSearchParams(location.search);
  query.set("text", document.getElementById("text").value);
  query.delete("after");
  const answer = await fetch("/?" + query, { headers: { Accept: "text/html" } });
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== asking) return;
  list.replaceChildren(...one("#list tbody", made).childNodes);
  one("#list caption").textContent = one("#list caption", made).textContent;
  document.getElementById("none").hidden = list.children.length > 0;
  const link = one("#more a"), next = one("#more a", made);
  if (link && next) link.href = next.href;
  if (link) link.hidden = !next;
}

function count() {
  const counts = {};
  for (const state of states.values()) counts[state] = (counts[state] || 0) + 1;
  for (const chip of all("#states a[data-state]")) one("b", chip).textContent = counts[chip.dataset.state] || 0;
  one("#states a:not([data-state]) b").textContent = states.size;
}

function listPage() {
  let snapshot = null;
  follow({
    snapshot(part) {
      snapshot = snapshot || [];
      snapshot.push(...part.environments);
      if (part.service) showService(part.service);
      if (part.more) return;
      states.clear();
      const there = new Set(snapshot.map((view) => view.environment));
      for (const row of all("tr", list)) if (!there.has(row.dataset.id)) row.remove();
      for (const view of snapshot) {
        states.set(view.environment, view.state);
        const row = rowOf(view.environment);
        if (row) fill(row, view);
        else if (snapshot.length <= 1000) showEnvironment(view);
      }
      snapshot = null;
      count();
      filter();
    },
    environment(view) { showEnvironment(view); count(); filter(); },
    gone(view) {
      states.delete(view.environment);
      const row = rowOf(view.environment);
      if (row) row.remove();
      count();
      filter();
    },
    progress(build) {
      if (!build.progress) return;
      const { step, steps, phase } = build.progress;
      // One build may be that of several environments.
      for (const row of all("tr", list).filter((it) => it.dataset.build === build.build)) {
        one(".why", row).textContent = (step ? `step ${step} of ${steps}, ` : "") + phase;
      }
    },
    service: showService,
  });
  let typed = 0;
  document.getElementById("text").addEventListener("input", () => {
    if (!isPart()) return filter();
    clearTimeout(typed);
    typed = setTimeout(ask, 150);
  });
}

// An environment

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  const label = document.activeElement && document.activeElement.textContent;
  one("main").replaceChildren(...one("main", made).childNodes);
  actions();
  const button = all(".actions button").find((other) => other.textContent === label);
  if (button) button.focus();
}

function actions() {
  for (const form of all(".actions form")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await fetch(form.action, { method: "POST" });
      await refresh();
    });
  }
}

function environmentPage() {
  const id = document.getElementById("environment").dataset.id;
  const mine = (message) => { if (message.environment === id) refresh(); };
  actions();
  follow({
    snapshot(part) { if (part.service) showService(part.service); },
    environment: mine,
    gone: mine,
    build: mine,
    progress(build) {
      const shown = document.getElementById("progress");
      if (build.environment !== id || !shown || !build.progress) return;
      const { step, steps, phase } = build.progress;
      shown.textContent = (step ? `step ${step} of ${steps}, ` : "") + phase;
    },
    service: showService,
  });
}

// A log

function logPage() {
  const log = document.getElementById("log");
  const box = document.getElementById("follow");
  const text = document.getElementById("text");
  const { age: prefix, signs } = JSON.parse(log.dataset.signs);
  const start = new RegExp(prefix);
  const phases = signs.map(([phase, sign]) => [phase, new RegExp(sign)]);
  let hits = [];
  let here = -1;

  function phaseOf(line) {
    const said = line.replace(start, "");
    const found = phases.find(([, sign]) => sign.test(said));
    return found ? found[0] : null;
  }

  function group(phase) {
    const made = element("details", { className: phase, open: true },
      element("summary", {}, phase + " ", element("span", { className: "quiet", textContent: "0" })), element("pre"));
    log.append(made);
    return made;
  }

  function add(lines) {
    for (const line of lines) {
      const phase = phaseOf(line);
      let last = log.lastElementChild;
      if (!last || last.tagName !== "DETAILS" || (phase && last.className !== phase)) last = group(phase || "begin");
      one("pre", last).append(element("span", { textContent: line + "\n" }));
      one("summary span", last).textContent = one("pre", last).childElementCount;
    }
    if (text.value) search();
    if (box.checked) log.scrollTop = log.scrollHeight;
  }

  function search() {
    const wanted = text.value.toLowerCase();
    hits = [];
    for (const line of all("pre span", log)) {
      const hit = wanted !== "" && line.textContent.toLowerCase().includes(wanted);
      line.classList.toggle("hit", hit);
      line.classList.remove("here");
      if (hit) hits.push(line);
    }
    here = -1;
    document.getElementById("found").textContent = wanted ? `${hits.length} found` : "";
  }

  function go(by) {
    if (!hits.length) return;
    if (here >= 0) hits[here].classList.remove("here");
    here = (here + by + hits.length) % hits.length;
    hits[here].closest("details").open = true;
    hits[here].classList.add("here");
    hits[here].scrollIntoView({ block: "center" });
    document.getElementById("found").textContent = `${here + 1} of ${hits.length}`;
    box.checked = false;
  }

  text.addEventListener("input", search);
  document.getElementById("search").addEventListener("submit", (event) => { event.preventDefault(); go(1); });
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") go(1);
    if (event.key === "N") go(-1);
  });
  log.addEventListener("scroll", () => {
    if (log.scrollTop + log.clientHeight < log.scrollHeight - 40) box.checked = false;
  });
  if (log.dataset.running !== "yes") return;
  log.replaceChildren();
  const source = new EventSource(`/v1/builds/${log.dataset.build}/log?follow=true`);
  source.onopen = () => { live.textContent = "live"; live.className = "good"; };
  source.addEventListener("lines", (event) => add(JSON.parse(event.data).lines));
  source.addEventListener("end", (event) => {
    source.close();
    const build = JSON.parse(event.data);
    const shown = document.getElementById("build-state");
    shown.className = `state ${build.state} large`;
    shown.textContent = `${build.state} after ${(build.seconds || 0).toFixed(1)} s`;
    live.textContent = "ended";
    if (build.problem) {
      shown.after(element("div", { className: "problem", role: "alert" },
        element("h2", { textContent: "Cause" }), element("p", { textContent: build.problem }),
        element("p", { className: "hint", textContent: build.hint || "" })));
    }
  });
}

// Keys

function isTyping(event) {
  return ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName) && event.target.type !== "checkbox";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const rows = all("#list tbody tr").filter((row) => !row.hidden);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const to = { j: at + 1, ArrowDown: at + 1, k: at - 1, ArrowUp: at - 1 }[event.key];
  if (event.key === "/") {
    const box = document.getElementById("text");
    if (box) { event.preventDefault(); box.focus(); }
  } else if (event.key === "g") {
    location.href = "/";
  } else if (event.key === "?") {
    document.getElementById("help").showModal();
  } else if (to !== undefined && rows.length) {
    event.preventDefault();
    one("a", rows[Math.min(Math.max(to, 0), rows.length - 1)]).focus();
  }
});

({ environments: listPage, environment: environmentPage, build: logPage }[page] || (() => follow({ service: showService })))();
