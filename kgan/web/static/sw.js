// Answers requests from the network and stores the responses. Without a network, answers with stored responses.
"use strict";

const CACHE = "kgan-1";
const SHELL = [
  "./",
  "app.js",
  "brush.js",
  "camera.js",
  "icon-192.png",
  "icon-512.png",
  "icon.svg",
  "live.js",
  "manifest.webmanifest",
  "models.json",
  "offline.js",
  "picture.js",
  "style.css",
  "stylizer.js",
  "worker.js",
];
// Threads need these headers. kgan's own server sends them, other hosts often do not.
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && new URL(url).origin === self.location.origin) event.respondWith(answer(event));
});

async function answer(event) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(event.request, { ignoreSearch: true });
  try {
    const response = await fetch(event.request);
    if (response.ok && !(kept && isSame(kept, response))) {
      event.waitUntil(cache.put(event.request, isolated(response.clone())));
    }
    return isolated(response);
  } catch {
    return kept ?? Response.error();
  }
}

function isSame(one, other) {
  const tag = one.headers.get("ETag");
  return tag !== null && tag === other.headers.get("ETag");
}

function isolated(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
