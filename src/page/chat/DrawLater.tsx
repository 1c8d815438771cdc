import { Component, type ComponentChildren } from 'preact';
import { QueueEntry } from './drawing-queue.ts';

interface Props {
  /** The work of drawing the children, in characters of prose. */
  work: number;
  /** Called once, before the children are drawn. */
  onDraw?: () => void;
  children: () => ComponentChildren;
}

/** Children that are drawn when it is their turn, and nothing until then. Afterwards they are drawn with the parent. */
export class DrawLater extends Component<Props> {
  readonly #entry = new QueueEntry();
  #drawn = false;

  override componentDidMount(): void {
    this.#entry.await(this.props.work, () => {
      this.#drawn = true;
      this.props.onDraw?.();
      this.forceUpdate();
    });
  }

  override componentWillUnmount(): void {
    this.#entry.cancel();
  }

  override shouldComponentUpdate(): boolean {
    return this.#drawn;
  }

  override render({ children }: Props) {
    return this.#drawn ? children() : null;
  }
}
