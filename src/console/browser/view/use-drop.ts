import { useEffect } from 'preact/hooks'

/** Takes files that are dropped anywhere on the page. Beside a place that takes them the browser would leave the page. */
export function useDrop(onFiles: (files: FileList) => void): void {
  useEffect(() => {
    const take = (event: DragEvent): void => {
      const { dataTransfer } = event
      // Words that are dragged into a field are the browser's.
      if (dataTransfer?.types.includes('Files') !== true) return
      event.preventDefault()
      if (event.type === 'drop') onFiles(dataTransfer.files)
    }
    document.addEventListener('dragover', take)
    document.addEventListener('drop', take)
    return () => {
      document.removeEventListener('dragover', take)
      document.removeEventListener('drop', take)
    }
  }, [])
}
