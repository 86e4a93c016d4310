import { Digits } from "./digits";

export default function Page() {
  return <Digits model="/digits.niwaki" images="/digits.pgm" />;
}
