// Makes the page work without a network.

const PATIENCE = 5000; // milliseconds

/** Installs the service worker. Resolves when it answers the requests of this page, or when it cannot be installed. */
export async function workOffline() {
  if (!("serviceWorker" in navigator)) return; // the page is neither over HTTPS nor from this device
  try {
    await navigator.serviceWorker.register("sw.js");
    if (navigator.serviceWorker.controller) return;
    await new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
      setTimeout(resolve, PATIENCE);
    });
  } catch (error) {
    console.warn("The page will not work offline:", error);
  }
}

/** Makes the service worker store files that were not loaded yet. */
export async function keep(files) {
  if (!navigator.serviceWorker?.controller) return;
  for (const file of files) await fetch(file).catch(() => {});
}
