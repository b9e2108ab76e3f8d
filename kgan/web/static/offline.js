// Keeps the page working without a network.

const PATIENCE = 5000; // milliseconds

/** Installs the service worker; resolves once it answers this page's requests, or when there will be none. */
export async function workOffline() {
  if (!("serviceWorker" in navigator)) return; // neither HTTPS nor this device's own address
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

/** Lets the service worker keep files that were not needed yet. */
export async function keep(files) {
  if (!navigator.serviceWorker?.controller) return;
  for (const file of files) await fetch(file).catch(() => {});
}
