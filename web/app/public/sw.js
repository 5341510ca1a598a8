// Lets the page open without a network: its files as they were last seen, whole. What people said is not kept here. Shows
// notifications, and leads from them to the page.

const CACHE = "app-2";
const SHELL = "/index.html";
/** How long a network may take that is asked for what is there already, in milliseconds. */
const PATIENCE = 3_000;
const BESIDES = ["/config.json", "/icon.svg", "/manifest.webmanifest"];

self.addEventListener("install", (event) => {
  event.waitUntil(Promise.all([newest(SHELL), ...BESIDES.map(newest)]).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) {
    return;
  }
  if (url.pathname.startsWith("/assets/")) {
    event.respondWith(caches.match(request).then((found) => found ?? fetch(request)));
  } else if (request.mode === "navigate" && !url.pathname.startsWith("/dev/")) {
    event.respondWith(newest(SHELL));
  } else if (BESIDES.includes(url.pathname)) {
    event.respondWith(newest(url.pathname));
  }
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data));
});

/** A file as it is now, or as it was last seen. */
async function newest(path) {
  const cache = await caches.open(CACHE);
  try {
    // A network that does not answer is none, where there is something to show instead.
    const signal = (await cache.match(path)) ? AbortSignal.timeout(PATIENCE) : undefined;
    const response = await fetch(path, { cache: "no-cache", signal });
    if (response.ok) {
      await (path === SHELL ? keepShell(cache, response.clone()) : cache.put(path, response.clone()));
    }
    return response;
  } catch (error) {
    const found = await cache.match(path);
    if (found) {
      return found;
    }
    throw error;
  }
}

/** Keeps the page together with what it loads, or as it was: never one without the other. */
async function keepShell(cache, response) {
  const page = await response.clone().text();
  const named = page.match(/\/assets\/[\w.-]+/g) ?? [];
  try {
    const kept = await Promise.all(named.map((path) => cache.match(path)));
    await cache.addAll(named.filter((_, place) => !kept[place]));
    await cache.put(SHELL, response);
  } catch {
    return;
  }
  for (const { url } of await cache.keys()) {
    const { pathname } = new URL(url);
    if (pathname.startsWith("/assets/") && !named.includes(pathname)) {
      await cache.delete(pathname);
    }
  }
}

/** Opens a conversation in a page that is there, or in a new one. */
async function open(conversation) {
  const [page] = await self.clients.matchAll({ type: "window" });
  if (page) {
    await page.focus();
    page.postMessage({ openConversation: conversation });
  } else {
    await self.clients.openWindow(`/c/${conversation}`);
  }
}
