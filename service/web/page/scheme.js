// The colour scheme that was chosen here before, set before anything is drawn.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("foldserve.scheme");
  } catch {
    // Storage may be closed; then the system's scheme holds.
  }
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.scheme = chosen;
  }
})();
