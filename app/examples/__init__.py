"""Items, as they were added; the commands that change or remove them read this.

app add ExampleItem
    title:str(200)
    description:text?
    is_completed:bool=false
    --folder examples
    --route items
"""
