// Lets the page open without a network: its files as they were last seen. What people said is not kept here.

const CACHE = "app-1";
const SHELL = "/index.html";

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([SHELL, "/config.json"]))
      .then(() => self.skipWaiting()),
  );
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
    event.respondWith(kept(request));
  } else if (request.mode === "navigate" && !url.pathname.startsWith("/dev/")) {
    event.respondWith(newest(SHELL));
  } else if (["/config.json", "/icon.svg", "/manifest.webmanifest"].includes(url.pathname)) {
    event.respondWith(newest(url.pathname));
  }
});

/** A file whose name changes with its content. */
async function kept(request) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request);
  if (found) {
    return found;
  }
  const response = await fetch(request);
  if (response.ok) {
    await cache.put(request, response.clone());
  }
  return response;
}

/** A file as it is now, or as it was last seen. */
async function newest(path) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(path, { cache: "no-cache" });
    if (response.ok) {
      await cache.put(path, response.clone());
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
