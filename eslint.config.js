import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: [".venv/", "build/", "docs/build/", "dist/", "src/byhand/report/", "src/byhand/explain/"] },
  js.configs.recommended,
  {
    files: ["src/byhand/page/**/*.js", "docs/_static/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["tests/page/*.mjs"],
    languageOptions: { globals: globals.node },
  },
  {
    rules: {
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-implicit-globals": "error",
      "max-lines": ["error", 300],
    },
  },
];
