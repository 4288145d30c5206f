// Before anything is drawn: the colours that were chosen on this machine.
try {
  const chosen = localStorage.getItem("stent-colours");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.colours = chosen;
} catch {
  // Nothing may be kept here; the system's colours hold.
}
