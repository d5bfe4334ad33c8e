// Light or dark before anything is drawn: as chosen in the Control Center, or else as the system has it.
"use strict";

const chosenTheme = /(?:^|; )theme=(light|dark)/.exec(document.cookie)?.[1];
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  document.documentElement.classList.toggle("dark-mode", chosenTheme ? chosenTheme === "dark" : systemIsDark.matches);
}

systemIsDark.addEventListener("change", showTheme);
showTheme();
