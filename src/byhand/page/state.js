/* Questions about the state of the playground. */

/** True if the network has the weights of the loaded model, before any step. */
export const isLoaded = ({ origin, setup, step }) => origin !== "training" || (setup.start === "loaded" && step === 0);

/** True if the network is a tab. */
export const isPhone = () => matchMedia("(max-width: 899px)").matches;
