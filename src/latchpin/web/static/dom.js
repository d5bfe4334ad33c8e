// Short names for what every module does with the document.

export const root = document.documentElement;
export const find = (selector, within = document) => within.querySelector(selector);
export const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
export const parse = (text) => new DOMParser().parseFromString(text, "text/html");
