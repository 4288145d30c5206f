SELECT number, began FROM boots WHERE began IS NOT NULL
