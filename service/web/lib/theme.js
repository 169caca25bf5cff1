// Light, dark, or as the system has it; the choice is remembered.

const NAME = "shapshot-theme";
const CHOICES = ["auto", "light", "dark"];

export function startTheme(button) {
  const apply = (choice) => {
    document.documentElement.dataset.theme = choice;
    button.textContent = `Colours: ${{ auto: "automatic", light: "light", dark: "dark" }[choice]}`;
  };
  const stored = localStorage.getItem(NAME);
  apply(CHOICES.includes(stored) ? stored : "auto");
  button.addEventListener("click", () => {
    const next = CHOICES[(CHOICES.indexOf(document.documentElement.dataset.theme) + 1) % 3];
    localStorage.setItem(NAME, next);
    apply(next);
  });
}
