// Keeps a screen lit where the browser can: only over https or on the box itself. Elsewhere the device's own settings
// must do it.

export function keepAwake() {
  const ask = () => {
    if (document.visibilityState === "visible") navigator.wakeLock?.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
