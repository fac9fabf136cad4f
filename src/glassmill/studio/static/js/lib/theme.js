// Sets the theme that the reader chose, before the first paint. "auto" follows the system.
(function () {
  const chosen = localStorage.getItem("glassmill-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
